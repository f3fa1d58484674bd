"""A fetcher that is not running shows: in /health and in /metrics."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ctxfy_support.tests.processes import CommandProcess
from support.fetchers import Fetcher
from support.inbox import fetching
from support.tests.chaos import wait_until
from support.tests.inbox.imap.imap_server import ScriptedIMAPServer
from support.tests.inbox.imap.mails import make_mail

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(use_mailbox):
    """Mail is fetched by IMAP."""
    with ScriptedIMAPServer([]) as server:
        yield use_mailbox(server)


@pytest.fixture
def health(client):
    def health():
        answer = client.get("/health")
        assert answer.status_code == 200
        return answer.json()["status"], answer.json()["inbox"]

    return health


def fetch():
    call_command("fetch_replies", stdout=StringIO())


def fetched(name="host:1", **ago):
    Fetcher.objects.create(name=name, fetched_at=timezone.now() - timedelta(**ago))


def measure(client, name):
    """A metric's value, None where it has no sample."""
    lines = client.get("/metrics").content.decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)


def test_is_not_missed_where_no_mailbox_is_set(health):
    assert health() == ("ok", "not configured")


def test_is_missed_until_somebody_fetches(health, server):
    assert health() == ("degraded", "not fetching")
    fetch()
    assert health() == ("ok", "ok")


def test_is_missed_after_five_minutes(health, server):
    fetched(minutes=4, seconds=50)
    assert health() == ("ok", "ok")
    Fetcher.objects.all().delete()
    fetched(minutes=5, seconds=10)
    assert health() == ("degraded", "not fetching")


def test_is_loud_where_there_is_nothing_to_log_in_with(health, server, settings):
    fetched(seconds=1)
    settings.IMAP_PASSWORD = ""
    assert health() == ("degraded", "no credentials")


@pytest.mark.parametrize("missing", ["IMAP_HOST", "IMAP_USER", "IMAP_PASSWORD"])
def test_is_warned_of_by_check(server, settings, missing):
    def check():
        output = StringIO()
        call_command("check", stderr=output)
        return output.getvalue()

    assert "support.W003" not in check()
    setattr(settings, missing, "")
    assert "support.W003" in check()
    assert f"Set {missing}, or none" in check()
    for name in ("IMAP_HOST", "IMAP_USER", "IMAP_PASSWORD"):
        setattr(settings, name, "")
    assert "support.W003" not in check()


def test_tells_the_age_of_the_last_fetch(client, server):
    name = "support_inbound_last_fetch_age_seconds"
    assert measure(client, name) is None
    fetched("host:1", minutes=10)
    assert 600 <= measure(client, name) < 660
    fetch()
    assert measure(client, name) < 60


def test_has_not_fetched_where_the_server_refuses(health, server):
    server.refused = "SEARCH"
    with pytest.raises(CommandError, match="not here"):
        fetch()
    assert health() == ("degraded", "not fetching")


def test_forgets_old_ones_but_for_the_last_fetch(server):
    for number in (1, 2):
        fetched(f"host:{number}", days=2, seconds=-number)
    server.refused = "SELECT"
    with pytest.raises(CommandError, match="not here"):
        fetch()
    assert set(Fetcher.objects.exclude(fetched_at=None).values_list("name", flat=True)) == {
        "host:2"
    }


@pytest.mark.django_db(transaction=True)
def test_is_seen_while_it_runs_and_says_goodbye(client, process_env, server):
    age = "support_inbound_last_fetch_age_seconds"
    env = process_env | server.env_for("none")
    with CommandProcess("fetch_replies", "--watch", "--interval", "0.1", env=env) as fetcher:
        assert wait_until(lambda: measure(client, age) is not None, 30)
        assert measure(client, "support_inbound_fetchers") == 1
        assert Fetcher.objects.get().name.endswith(f":{fetcher.pid}")
        fetcher.stop()
    assert measure(client, "support_inbound_fetchers") == 0
    assert measure(client, age) is not None


@pytest.mark.django_db(transaction=True)
def test_counts_what_it_cannot_take_in(client, server, monkeypatch):
    def fail(raw, way):
        raise ZeroDivisionError

    monkeypatch.setattr(fetching, "receive_raw", fail)
    server.mails = {1: make_mail(1)}
    with pytest.raises(SystemExit):
        fetch()
    Fetcher.objects.update(seen_at=timezone.now())
    assert measure(client, "support_inbound_stuck_mails") == 1

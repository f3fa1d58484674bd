"""manage.py clean_up: once a day, what nobody needs any more goes."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.models import APIKey, PasswordAttempts, RequestCount
from accounts.tests.factories import APIKeyFactory, UserFactory
from ctxfy_support import cleaning
from support.models import InboundMail, Sender, Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

NOTHING = "tickets=0 mails=0 keys=0 windows=0 logins=0 sessions=0"


def ago(**units):
    return timezone.now() - timedelta(**units)


def clean_up():
    """Return the last line."""
    out = StringIO()
    call_command("clean_up", stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()[-1]


def make_solved(**since):
    return TicketFactory(state="solved", email_status="sent", solved_at=ago(**since))


def make_login(name, attempted):
    row = AccessAttempt.objects.create(username=name, failures_since_start=1)
    AccessAttempt.objects.filter(pk=row.pk).update(attempt_time=attempted)


def make_all():
    """One row of each kind that is to go, and one that is to stay."""
    for days in (400, 300):
        make_solved(days=days)
    for name, days, outcome in (
        ("settled", 91, "stored"),
        ("young", 89, "stored"),
        ("waiting", 400, "unmatched"),
    ):
        InboundMail.objects.create(digest=name, received_at=ago(days=days), outcome=outcome)
    for days in (366, 364):
        APIKeyFactory(name=f"revoked {days}", revoked_at=ago(days=days))
        APIKeyFactory(name=f"expired {days}", expiration_date=ago(days=days))
    APIKeyFactory(name="leaked", revoked_at=ago(days=400), leaked_at=ago(days=401))
    APIKeyFactory(name="working")
    for hours in (2, 0):
        RequestCount.objects.create(
            user=UserFactory(), requests=1, resets_at=time.time() - hours * 3_600
        )
        PasswordAttempts.objects.create(
            network=str(hours), attempts=1, resets_at=time.time() - hours * 3_600
        )
    make_login("old", ago(days=31))
    make_login("young", ago(days=29))
    for name, days in (("old", -1), ("young", 1)):
        Session.objects.create(session_key=name, expire_date=ago(days=-days))
    Sender.objects.create(name="gone", seen_at=ago(days=2))


def test_deletes_what_nobody_needs(settings):
    settings.TICKET_RETENTION_DAYS = 365
    make_all()
    assert clean_up() == "tickets=1 mails=1 keys=2 windows=2 logins=1 sessions=1"
    assert Ticket.objects.get().solved_at > ago(days=301)
    assert set(InboundMail.objects.values_list("digest", flat=True)) == {"young", "waiting"}
    assert set(APIKey.objects.values_list("name", flat=True)) == {
        *("revoked 364", "expired 364", "leaked", "working"),
    }
    assert (RequestCount.objects.count(), PasswordAttempts.objects.count()) == (1, 1)
    assert AccessAttempt.objects.get().username == "young"
    assert Session.objects.get().session_key == "young"
    assert not Sender.objects.exists()


def test_finds_nothing_the_second_time(settings):
    settings.TICKET_RETENTION_DAYS = 365
    make_all()
    clean_up()
    assert clean_up() == NOTHING


def test_keeps_tickets_for_ever_unless_told():
    make_solved(days=10_000)
    assert clean_up() == NOTHING
    assert Ticket.objects.count() == 1


def test_goes_in_batches(monkeypatch):
    monkeypatch.setattr(cleaning, "BATCH", 2)
    for number in range(5):
        Session.objects.create(session_key=str(number), expire_date=ago(days=1))
    assert clean_up().endswith("sessions=5")


def fail():
    raise OperationalError("gone")
    yield


@pytest.mark.django_db(transaction=True)
def test_goes_on_when_a_step_fails(settings, capsys):
    Session.objects.create(session_key="old", expire_date=ago(days=1))
    settings.CLEANINGS = [f"{__name__}.fail", *settings.CLEANINGS]
    with pytest.raises(SystemExit) as ended:
        call_command("clean_up")
    printed = capsys.readouterr()
    assert ended.value.code == 1
    assert printed.out.splitlines()[-1].endswith("sessions=1")
    assert "fail: the database did not answer: gone" in printed.err


@pytest.mark.django_db(transaction=True)
def test_may_run_twice_at_once(settings, monkeypatch):
    settings.TICKET_RETENTION_DAYS = 365
    monkeypatch.setattr(cleaning, "BATCH", 3)
    for number in range(30):
        make_solved(days=400)
        Session.objects.create(session_key=str(number), expire_date=ago(days=1))

    def run(_):
        try:
            return clean_up()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        lines = list(threads.map(run, range(3)))
    counts = [dict(part.split("=") for part in line.split()) for line in lines]
    assert sum(int(row["tickets"]) for row in counts) == 30
    assert sum(int(row["sessions"]) for row in counts) == 30
    assert not Ticket.objects.exists()

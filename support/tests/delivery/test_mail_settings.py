"""Settings that cannot work are the channel's fault, never the mail's."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from ctxfy_support.tests.scripted_smtp_server import Answer
from ctxfy_support.tests.sendgrid_server import Response
from support.delivery.transport import pool
from support.mail_channel import MailChannel
from support.models import Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def malformed(request, settings, use_mail):
    kind, name, value = request.param
    use_mail(request.getfixturevalue(f"{kind}_server"))
    if kind == "sendgrid":
        settings.ANYMAIL = settings.ANYMAIL | {name: value}
    else:
        setattr(settings, name, value)


@pytest.mark.parametrize(
    "malformed",
    [
        ("smtp", "EMAIL_HOST_PASSWORD", "abcd\u00a0efgh"),
        ("smtp", "EMAIL_HOST_USER", "ada\u200b@example.com"),
        ("smtp", "EMAIL_HOST", "smtp..gmail.com"),
        ("smtp", "EMAIL_HOST", "x" * 70),
        ("sendgrid", "SENDGRID_API_KEY", "\u201cSG.x\u201d"),
        ("sendgrid", "SENDGRID_API_URL", "http://a..b/v3/"),
    ],
    indirect=True,
    ids=["password", "user", "empty label", "long label", "key", "address"],
)
def test_make_every_mail_wait(post, malformed):
    assert [post().json()["status"] for _ in range(2)] == ["pending", "pending"]
    for ticket in Ticket.objects.all():
        assert (ticket.attempts, ticket.email_status) == (0, "pending")
    if MailChannel.objects.exists():
        assert MailChannel.objects.get().last_error.startswith("channel")
    else:  # A name that no server has is found out by asking for it.
        assert Ticket.objects.first().last_error.startswith("transient connection")


@pytest.mark.parametrize("text", ["Go ahead!", "x", "AAAA"])
def test_survive_an_odd_challenge(post, use_mail, scripted_smtp_server, text):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["AUTH"] = Answer(334, text)
    assert post().json()["status"] == "pending"
    assert Ticket.objects.get().email_status == "pending"


def test_take_a_used_up_quota_for_something_that_passes(post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["."] = Answer(550, "5.4.5 Daily user sending quota exceeded")
    assert post().json()["status"] == "pending"
    assert Ticket.objects.get().last_error.startswith("channel 550")


@pytest.fixture(
    params=[
        ("sendgrid", {}, "SENDGRID_API_KEY"),
        ("google", {}, "GOOGLE_SMTP_USER and GOOGLE_SMTP_PASSWORD"),
        ("google", {"EMAIL_HOST_USER": "support@example.com"}, "GOOGLE_SMTP_PASSWORD"),
    ],
    ids=lambda param: param[2],
)
def missing(request, settings):
    """Mail that has an address and nothing to log in with; what the operator has to set."""
    settings.SUPPORT_EMAIL = "support@example.com"
    settings.SUPPORT_EMAIL_SENDER, given, names = request.param
    for name, value in given.items():
        setattr(settings, name, value)
    return names


def check(*arguments):
    err = StringIO()
    call_command("check", *arguments, stdout=StringIO(), stderr=err)
    return err.getvalue()


@pytest.mark.parametrize("arguments", [(), ("--deploy",)])
def test_warn_where_the_credentials_are_missing(missing, arguments):
    assert "support.W001" in check(*arguments)
    assert f"HINT: Set {missing}, then" in check(*arguments)


def test_are_content_without_an_address_and_with_all_of_them(use_mail, sendgrid_server):
    assert "support.W001" not in check()
    use_mail(sendgrid_server)
    assert "support.W001" not in check()


def test_make_health_say_that_credentials_are_missing(client, missing, post):
    assert post().json()["status"] == "stored"
    answer = client.get("/health")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["mail"]) == ("degraded", "no credentials")
    assert "\nsupport_mail_stored 1\n" in client.get("/metrics").content.decode()


def test_make_the_dashboard_say_so(desk, missing):
    page = desk.get(reverse("admin:index")).content.decode()
    assert f"SUPPORT_EMAIL is set and {missing} is not" in page


def test_stop_the_worker_with_what_to_set(missing, caplog):
    with pytest.raises(CommandError, match=f"set {missing} ") as refusal:
        call_command("resend_failed_emails", "--watch", stdout=StringIO())
    assert refusal.value.returncode == 2
    assert "support.W001" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_are_warned_of_in_the_log_of_the_start(service):
    running = service(SUPPORT_EMAIL="support@example.com")
    (line,) = [line for line in running.output.splitlines() if "support.W001" in line]
    assert json.loads(line)["level"] == "WARNING"


def watched_sockets():
    return sum(len(kept.backend.watch._handles) for kept in pool._idle)


def test_leave_no_socket_behind(post, use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["NOOP"] = Answer(421, "too long idle")
    for _ in range(5):
        assert post().json()["status"] == "sent"
    assert watched_sockets() == 1


def test_leave_no_connection_behind_that_the_provider_closes(post, use_mail, sendgrid_server):
    use_mail(sendgrid_server)
    sendgrid_server.faults["request"] = Response(202, headers={"Connection": "close"})
    for _ in range(5):
        assert post().json()["status"] == "sent"
    assert watched_sockets() <= 1

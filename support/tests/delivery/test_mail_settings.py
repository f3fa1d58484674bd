"""Settings that cannot work are the channel's fault, never the mail's."""

import pytest

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
    ids=str,
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

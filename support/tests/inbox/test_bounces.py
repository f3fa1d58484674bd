"""An answer that came back is mail trouble, its ticket is open again, and all that once."""

import time

import pytest

from support.answering import write_reply
from support.inbound_mail import InboundMail
from support.models import Message, Ticket
from support.outbox import EmailStatus
from support.tests.inbox.mails import make_dsn
from support.tests.inbox.sendgrid import make_event
from support.timeline import EventKind, TicketEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def answer(ticket, agent, settings):
    settings.SUPPORT_EMAIL, settings.SUPPORT_EMAIL_SENDER = "support@example.com", "console"
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    return mark_sent(write_reply(ticket, agent, "Try again.", leased=False))


def mark_sent(answer):
    Message.objects.filter(pk=answer.pk).claim().mark_sent(
        {"at": "2026-11-24T10:00:00.000+00:00", "ms": 5, "outcome": "sent"}
        | dict.fromkeys(("kind", "code", "text"), "")
    )
    answer.refresh_from_db()
    assert answer.email_status == "sent"
    return answer


def count_bounces():
    return TicketEvent.objects.filter(kind=EventKind.BOUNCE).count()


def check_bounced(answer, error):
    answer.refresh_from_db()
    assert (answer.email_status, answer.sent_at, answer.last_error) == ("failed", None, error)
    assert answer.attempt_log[-1]["text"] == error
    assert [entry["outcome"] for entry in answer.attempt_log] == ["sent", "failed"]
    ticket = Ticket.objects.get()
    assert (ticket.state, ticket.solved_at) == ("open", None)
    event = TicketEvent.objects.get(kind=EventKind.BOUNCE)
    assert (event.before, event.after, event.message) == ("waiting", "open", answer)


@pytest.fixture(params=["to the token", "to the sender"])
def dsn(request, answer, address):
    """`dsn(action=…)`: a report on the answer, to either of the addresses that it may come to."""
    to = address if request.param == "to the token" else "support@example.com"
    return lambda **more: (make_dsn(to, f"<{answer.pk}@tickets.ctxfy>", address, **more), to, "")


def test_by_mail(deliver, dsn, answer):
    report = dsn()
    for _ in range(3):
        assert deliver(*report).status_code == 200
    check_bounced(answer, "Bounced: 5.1.1 550 5.1.1 No such user")


def test_by_event(tell, answer):
    bounce = make_event("bounce", answer, reason="550 5.1.1 No such\r\nuser", status="5.1.1")
    for _ in range(3):
        assert tell(bounce, bounce).status_code == 200
    check_bounced(answer, "Bounced: 550 5.1.1 No such user")


def test_stands_on_the_page(tell, answer, desk):
    tell(make_event("bounce", answer, reason="550 <b>No such user</b>"))
    page = desk.get(f"/admin/support/ticket/{answer.ticket_id}/change/").content.decode()
    assert "The answer to ada@example.com came back</strong>: 550 &lt;b&gt;No such user" in page


def test_by_event_before_it_left(tell, answer):
    tell(make_event("dropped", answer, reason="Bounced Address"))
    check_bounced(answer, "Bounced: SendGrid dropped it: Bounced Address")


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "delivered"])
def test_that_is_none_changes_nothing(deliver, dsn, answer, action):
    deliver(*dsn(action=action, status="4.4.1"))
    answer.refresh_from_db()
    assert answer.email_status == "sent"
    assert Ticket.objects.get().state == "waiting"


def test_by_mail_needs_the_token(deliver, answer, address):
    other = address.replace("+", "+x")
    report = make_dsn("support@example.com", f"<{answer.pk}@tickets.ctxfy>", other)
    deliver(report, "support@example.com", "")
    answer.refresh_from_db()
    assert answer.email_status == "sent"


def test_that_somebody_attached_is_none(deliver, answer, address):
    """It names a ticket only where the mail is the report itself."""
    to = "help@ctxfy.example"
    report = make_dsn(to, f"<{answer.pk}@tickets.ctxfy>", address)
    for line in (b"Return-Path: <>\r\n", b"Auto-Submitted: auto-replied\r\n"):
        report = report.replace(line, b"")
    deliver(report.replace(b"multipart/report", b"multipart/mixed"), to)
    assert InboundMail.objects.get().outcome == "unmatched"
    answer.refresh_from_db()
    assert answer.email_status == "sent"


def test_by_mail_is_of_that_ticket_alone(deliver, answer, address, post):
    theirs = post(reply_address="eve@example.com").json()["id"]
    Message.objects.update(ticket=theirs)
    deliver(make_dsn(address, f"<{answer.pk}@tickets.ctxfy>", address), address, "")
    answer.refresh_from_db()
    assert answer.email_status == "sent"


@pytest.mark.parametrize("status", ["pending", "failed", "stored"])
def test_leaves_alone_what_is_not_sent(tell, answer, status):
    Message.objects.update(email_status=status)
    tell(make_event("bounce", answer, reason="x"))
    answer.refresh_from_db()
    assert answer.email_status == status
    assert not count_bounces()


def test_of_an_earlier_try_is_not_told_of_the_next(tell, answer):
    bounce = make_event("bounce", answer, reason="550")
    tell(bounce)
    Message.objects.all().queue_again()
    mark_sent(answer)
    tell(bounce, make_event("bounce", answer, reason="550", timestamp=int(time.time()) - 600))
    answer.refresh_from_db()
    assert answer.email_status == EmailStatus.SENT
    assert count_bounces() == 1


def test_of_what_a_customer_wrote_is_mail_trouble(tell, ticket):
    tell(make_event("bounce", ticket, reason="552 mailbox full"))
    ticket.refresh_from_db()
    assert (ticket.email_status, ticket.sent_at) == ("failed", None)
    assert ticket.last_error == "Bounced: 552 mailbox full"
    assert ticket.state == "waiting"
    assert count_bounces() == 1


def test_is_seen_to_be_delivered_once(tell, answer):
    tell(make_event("delivered", answer, timestamp=1_800_000_000))
    tell(make_event("delivered", answer, timestamp=1_800_000_100))
    answer.refresh_from_db()
    assert answer.delivered_at.timestamp() == 1_800_000_000
    assert answer.email_status == "sent"


def test_notes_a_complaint_once(tell, answer):
    for _ in range(2):
        tell(make_event("spamreport", answer))
    [event] = TicketEvent.objects.filter(kind=EventKind.AUTOMATIC)
    assert (event.message, event.text) == (answer, "The recipient of this mail reported it as spam")


STRANGE = [
    [None, 5, "x", {}, {"event": None}, {"event": "bounce"}],
    [{"event": "bounce", "support_row": "no id"}],
    [{"event": "bounce", "support_row": {"a": 1}, "timestamp": "soon"}],
    [{"event": "bounce", "support_row": "0193e4c8-0000-7000-8000-000000000000"}],
    [{"event": "dropped", "type": 5, "timestamp": 1e30}],
]


@pytest.mark.parametrize("events", STRANGE)
def test_takes_a_strange_event_for_none(tell, answer, events):
    assert tell(*events, make_event("bounce", answer, reason="550")).status_code == 200
    assert count_bounces() == 1


@pytest.mark.parametrize("body", [b"", b"x", b"[" * 100_000, b"\xff", b"{}", b"5"])
def test_takes_no_body_that_is_no_list(sendgrid, body, db):
    from support.tests.inbox.sendgrid import TRACKING

    assert sendgrid(TRACKING, body, content_type="application/json").status_code in {200, 400}

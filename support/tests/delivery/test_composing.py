"""What each mail says, header by header."""

from datetime import UTC, datetime, timedelta
from email.policy import compat32

import pytest

from support.delivery.composing import compose, subject
from support.mail_channel import MailChannel
from support.models import Message, Ticket
from support.reply_addresses import find_ticket_id
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

RECEIVED = datetime(2026, 11, 23, 10, 5, 7, tzinfo=UTC)


@pytest.fixture
def addresses(settings):
    settings.SUPPORT_EMAIL = "support@ctxfy.example"
    settings.SUPPORT_EMAIL_FROM = "tickets@ctxfy.example"
    settings.SITE_URL = "https://desk.ctxfy.example"


@pytest.fixture
def ticket(addresses):
    return TicketFactory(type="billing", created_at=RECEIVED)


def answer(ticket, minutes, **columns):
    """An agent's answer, so many minutes after the ticket came."""
    columns = {"to": "ada@example.com", "text": "We look into it."} | columns
    return Message.objects.create(
        ticket=ticket, created_at=ticket.created_at + timedelta(minutes=minutes), **columns
    )


def message_id(row):
    return f"<{row.pk}@tickets.ctxfy>"


def test_writes_a_tickets_mail(ticket):
    mail = compose(ticket)
    assert mail.subject == f"[billing] Support ticket {ticket.pk}"
    assert mail.from_email == "tickets@ctxfy.example"
    assert (mail.to, mail.cc, mail.bcc) == (["support@ctxfy.example"], [], [])
    assert mail.reply_to == ["ada@example.com"]
    assert mail.extra_headers == {
        "Message-ID": message_id(ticket),
        "Date": "Mon, 23 Nov 2026 10:05:07 +0000",
        "Auto-Submitted": "auto-generated",
    }
    url = f"https://desk.ctxfy.example/admin/support/ticket/{ticket.pk}/change/"
    assert url in mail.body
    [(html, content_type)] = mail.alternatives
    assert content_type == "text/html"
    assert url in html
    assert ticket.message in html


def test_writes_an_agents_answer(ticket):
    reply = answer(ticket, 90)
    mail = compose(reply)
    assert mail.subject == f"Re: [billing] Support ticket {ticket.pk}"
    assert mail.from_email == "tickets@ctxfy.example"
    assert (mail.to, mail.cc, mail.bcc) == (["ada@example.com"], [], [])
    assert mail.reply_to == ["support@ctxfy.example"]
    assert mail.extra_headers == {
        "Message-ID": message_id(reply),
        "Date": "Mon, 23 Nov 2026 11:35:07 +0000",
        "In-Reply-To": message_id(ticket),
        "References": message_id(ticket),
    }
    assert mail.body.startswith("We look into it.\n")
    assert f"Ticket {ticket.pk}, received 2026-11-23 10:05 UTC" in mail.body
    assert "> Charged twice in October." in mail.body
    [(html, content_type)] = mail.alternatives
    assert content_type == "text/html"
    assert "We look into it." in html
    assert "Charged twice in October." in html


def test_names_the_ten_answers_before_it(ticket):
    """Oldest first, whenever they were stored; those of other tickets and later ones not."""
    answer(TicketFactory(created_at=RECEIVED), 1)
    replies = {minutes: answer(ticket, minutes) for minutes in (12, *range(1, 12), 13)}
    headers = compose(replies[12]).extra_headers
    thread = [ticket, *(replies[minutes] for minutes in range(2, 12))]
    assert headers["References"] == " ".join(map(message_id, thread))
    assert headers["In-Reply-To"] == message_id(replies[11])


def test_writes_a_mailbox_in_ascii(ticket):
    reply = answer(ticket, 1, to="ada@exämple.com")
    assert compose(reply).to == ["ada@xn--exmple-cua.com"]


def test_leaves_what_is_no_mailbox_to_the_backend_to_refuse(ticket):
    assert compose(answer(ticket, 1, to="123 Main St")).to == ["123 Main St"]


def test_writes_no_reply_to_that_is_no_mailbox(addresses):
    assert compose(TicketFactory(reply_address="123 Main St")).reply_to == []


def test_has_a_subject_of_one_line_with_single_spaces():
    ticket = Ticket(type="a\r\nb\u2028c  d")
    assert subject(ticket) == f"[a b c d] Support ticket {ticket.pk}"
    assert len(subject(ticket, "x" * 300)) == 200


def test_knows_no_other_row():
    with pytest.raises(TypeError, match="no mail is known for MailChannel"):
        compose(MailChannel())


@pytest.mark.parametrize(
    "ticket_type", ["billing", "x" * 64, "Käse", "=?utf-8?q?x?=", 'a: b, <c> "d"', "日本" * 20]
)
@pytest.mark.parametrize("address", ["ada@example.com", "a@bücher.example", "123 Main St"])
def test_writes_headers_as_the_email_package_would(ticket_type, address):
    """Those that fit their line are written without its way of folding, to the same letters."""
    mail = compose(TicketFactory(type=ticket_type, reply_address=address))
    ours = mail.message()
    theirs = mail.message()
    theirs.policy = compat32
    assert ours.as_bytes(linesep="\r\n") == theirs.as_bytes(linesep="\r\n")


def test_asks_to_be_answered_at_the_tickets_own_address(ticket, settings):
    settings.SUPPORT_EMAIL_REPLIES = "help@ctxfy.example"
    [address] = compose(answer(ticket, 1)).reply_to
    assert find_ticket_id(address) == ticket.pk
    assert compose(ticket).reply_to == ["ada@example.com"]


def write(ticket, minutes, **fields):
    at = RECEIVED + timedelta(minutes=minutes)
    return Message.objects.create(ticket=ticket, created_at=at, **fields)


def test_quotes_the_customers_last_message(ticket):
    write(ticket, 5, via="api", text="And in\nNovember.")
    write(ticket, 9, via="mail", text="And later.")
    mail = compose(answer(ticket, 7))
    assert "On 2026-11-23 10:10 UTC you wrote:\n\n> And in\n> November.\n" in mail.body
    assert "Charged twice" not in mail.body
    assert "And in\nNovember." in mail.alternatives[0].content


def test_mails_a_customers_message_to_support(ticket):
    message = write(ticket, 5, via="api", text="And in <November>.", to="old@ctxfy.example")
    mail = compose(message)
    assert mail.subject == f"Re: [billing] Support ticket {ticket.pk} - the customer wrote"
    assert (mail.to, mail.reply_to) == (["support@ctxfy.example"], ["ada@example.com"])
    assert mail.extra_headers["In-Reply-To"] == message_id(ticket)
    assert mail.extra_headers["Auto-Submitted"] == "auto-generated"
    assert mail.body.startswith("And in <November>.\n")
    assert "Came by:       API\n" in mail.body
    assert "And in &lt;November&gt;." in mail.alternatives[0].content


@pytest.mark.parametrize(
    ("sender", "is_other"), [("ADA@example.com", False), ("eve@x.example", True), ("", True)]
)
def test_says_when_a_mail_came_from_elsewhere(ticket, sender, is_other):
    part = {"name": "trace.log", "type": "text/plain", "size": 2048}
    fields = {"sender": sender, "quoted": "> Before", "attachments": [part]}
    mail = compose(write(ticket, 5, via="mail", text="Again.", **fields))
    for text in (mail.body, mail.alternatives[0].content):
        assert ("not the ticket" in text) is is_other
        assert "quoted 8 characters" in text
        assert "trace.log (text/plain, 2.0" in text

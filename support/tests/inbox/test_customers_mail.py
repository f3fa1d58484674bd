"""A customer's mail becomes one message of its ticket's thread, by the token alone."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from support.inbound_mail import InboundMail
from support.models import Message, Ticket
from support.reply_addresses import find_reply_address
from support.tests.factories import TicketFactory
from support.tests.inbox.mails import make_mail
from support.tests.inbox.sendgrid import SECRET
from support.timeline import EventKind, TicketEvent

pytestmark = pytest.mark.django_db


def test_becomes_a_message_and_opens_the_ticket(deliver, ticket, address):
    assert deliver(make_mail(address), address).status_code == 200
    message = ticket.messages.get()
    assert (message.via, message.text) == ("mail", "It works now, thank you.")
    assert message.sender == "ada@example.com"
    ticket.refresh_from_db()
    assert ticket.state == "open"
    mail = InboundMail.objects.get()
    assert (mail.outcome, mail.message, mail.ticket) == ("stored", message, ticket)
    assert not mail.text


def test_is_mailed_to_support_by_nobody_who_waits(deliver, ticket, address, settings):
    settings.SUPPORT_EMAIL, settings.SUPPORT_EMAIL_SENDER = "support@example.com", "console"
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    deliver(make_mail(address), address)
    message = ticket.messages.get()
    assert (message.email_status, message.leased_until) == ("pending", None)
    assert list(Message.objects.due()) == [message]


@pytest.mark.django_db(transaction=True)
def test_goes_on_to_support_alone_and_at_once(deliver, ticket, address, use_mail, smtp_server):
    replies = {"SUPPORT_EMAIL_REPLIES": "help@ctxfy.example", "ANYMAIL_WEBHOOK_SECRET": SECRET}
    use_mail(smtp_server, **replies)
    deliver(make_mail(address, sender="eve@example.com"), address)
    end = time.monotonic() + 20
    while not smtp_server.messages and time.monotonic() < end:
        time.sleep(0.02)
    [mail] = smtp_server.messages
    assert mail.recipients == ["support@ctxfy.example"]
    assert "the customer wrote" in mail.header("Subject")


@pytest.mark.parametrize("times", [1, 3])
def test_comes_once_however_often_it_is_brought(deliver, ticket, address, times):
    mail = make_mail(address)
    assert {deliver(mail, address).status_code for _ in range(times)} == {200}
    assert ticket.messages.count() == InboundMail.objects.count() == 1


def test_folds_what_it_quotes(deliver, ticket, address):
    text = (
        "Thanks!\r\n\r\nOn Tue, 24 Nov 2026 at 10:00, Support <s@example.com>\r\nwrote:\r\n> Hi\r\n"
    )
    deliver(make_mail(address, text), address)
    message = ticket.messages.get()
    assert message.text == "Thanks!"
    assert message.quoted.endswith("> Hi")


def test_names_and_measures_what_is_left_out(deliver, ticket, address):
    body = (
        "--x\r\nContent-Type: text/plain\r\n\r\nSee the picture.\r\n"
        '--x\r\nContent-Type: image/png; name="a.png"\r\nContent-Transfer-Encoding: base64\r\n'
        'Content-Disposition: attachment; filename="a.png"\r\n\r\nAAECAwQ=\r\n--x--'
    )
    deliver(make_mail(address, body, Content_Type="multipart/mixed; boundary=x"), address)
    message = ticket.messages.get()
    assert message.text == "See the picture."
    assert message.attachments == [{"name": "a.png", "type": "image/png", "size": 5}]


def test_is_masked_with_what_it_quotes(deliver, ticket, address, api_key):
    text = f"My key is {api_key.secret}\r\n\r\n> Yours was {api_key.secret}"
    deliver(make_mail(address, text, Subject=api_key.secret), address)
    message = ticket.messages.get()
    assert (
        api_key.secret not in f"{message.text}{message.quoted}{InboundMail.objects.get().subject}"
    )
    ticket.refresh_from_db()
    assert ticket.leaked_keys == [str(api_key.pk)]


def test_belongs_to_no_ticket_by_anything_but_the_token(deliver, ticket):
    references = f"<{ticket.pk}@tickets.ctxfy>"
    mail = make_mail(
        "help@ctxfy.example",
        In_Reply_To=references,
        References=references,
        Subject=f"Re: [billing] Support ticket {ticket.pk}",
    )
    deliver(mail, "help@ctxfy.example")
    assert not ticket.messages.exists()
    held = InboundMail.objects.get()
    assert (held.outcome, held.text) == ("unmatched", "It works now, thank you.")
    assert held.sender == "ada@example.com"


@pytest.mark.parametrize("position", [5, 20, 40])
def test_takes_no_forged_token(deliver, ticket, address, position):
    at = address.index("+") + position
    forged = address[:at] + ("a" if address[at] != "a" else "b") + address[at + 1 :]
    deliver(make_mail(forged), forged)
    assert not ticket.messages.exists()
    assert InboundMail.objects.get().outcome == "unmatched"


@pytest.mark.parametrize("header", ["Cc", "Delivered-To", "X-Original-To", "To"])
def test_finds_the_token_in_whatever_names_a_recipient(deliver, ticket, address, header):
    headers = {"To": "help@ctxfy.example"} | {header: f'"Help, desk" <{address.upper()}>'}
    deliver(make_mail(**{"to": "x"} | headers), "help@ctxfy.example")
    assert ticket.messages.count() == 1


def test_is_held_where_the_ticket_is_closed(deliver, ticket, address):
    Ticket.objects.update(state="closed")
    deliver(make_mail(address), address)
    held = InboundMail.objects.get()
    assert (held.outcome, held.reason, held.ticket) == ("unmatched", "Its ticket is closed", ticket)


def test_is_held_where_the_ticket_is_gone(deliver):
    address = find_reply_address(TicketFactory.build().pk)
    deliver(make_mail(address), address)
    assert InboundMail.objects.get().outcome == "unmatched"


def test_is_held_beyond_twenty_an_hour(deliver, ticket, address):
    for _ in range(22):
        deliver(make_mail(address), address)
    assert ticket.messages.count() == 20
    assert InboundMail.objects.filter(outcome="unmatched", ticket=ticket).count() == 2
    InboundMail.objects.update(received_at=timezone.now() - timedelta(hours=1))
    deliver(make_mail(address), address)
    assert ticket.messages.count() == 21


AUTOMATIC = {
    "Auto-Submitted": "auto-replied",
    "Precedence": "bulk",
    "List-Id": "<dev.lists.example.com>",
    "Return-Path": "<>",
    "X-Autoreply": "yes",
}


@pytest.mark.parametrize("header", AUTOMATIC)
def test_that_nobody_wrote_is_noted_and_reopens_nothing(deliver, ticket, address, header):
    deliver(make_mail(address, **{header: AUTOMATIC[header]}), address)
    ticket.refresh_from_db()
    assert ticket.state == "waiting"
    assert not ticket.messages.exists()
    assert InboundMail.objects.get().outcome == "ignored"
    assert TicketEvent.objects.get().kind == EventKind.AUTOMATIC


def test_with_an_empty_envelope_is_one_of_these(deliver, ticket, address):
    deliver(make_mail(address), address, "")
    assert InboundMail.objects.get().outcome == "ignored"


def test_of_a_loop_fills_no_timeline(deliver, ticket, address):
    for _ in range(25):
        deliver(make_mail(address, Auto_Submitted="auto-replied"), address)
    assert TicketEvent.objects.count() == 20
    assert InboundMail.objects.filter(outcome="ignored").count() == 25


def test_of_our_own_is_no_mail_without_a_ticket(deliver, ticket):
    own = {"Message-ID": f"<{ticket.pk}@tickets.ctxfy>", "Auto-Submitted": "auto-generated"}
    deliver(make_mail("help@ctxfy.example", **own), "help@ctxfy.example")
    mail = InboundMail.objects.get()
    assert (mail.outcome, mail.reason) == ("ignored", "A mail of this service itself")


def test_that_is_too_long_is_cut(deliver, ticket, address):
    deliver(make_mail(address, "word " * 10_000), address)
    text = ticket.messages.get().text
    assert len(text) <= 20_000
    assert text.endswith("characters more were left out]")

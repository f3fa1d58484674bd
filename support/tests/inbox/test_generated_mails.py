"""Whatever comes in, nothing raises and nothing is lost; `generated.py` posts thousands of them."""

from email.parser import BytesParser

import pytest

from support.inbound_mail import InboundMail, Way
from support.inbox.parsing import LARGEST_MAIL_BYTES, MOST_LINES, bound, parse_raw
from support.inbox.reading import MOST_PARAMETERS, SAFE
from support.inbox.receiving import receive_raw
from support.models import Message
from support.reply_addresses import find_reply_address
from support.tests.factories import TicketFactory
from support.tests.inbox.generated import Generator, make_bodies
from support.tests.inbox.sendgrid import INBOUND, make_raw_form

pytestmark = pytest.mark.django_db
MAILS = 200


def test_are_stored_once_by_the_webhook(sendgrid):
    tickets = TicketFactory.create_batch(MAILS // 15, email_status="sent")
    addresses = [find_reply_address(ticket.pk) for ticket in tickets]
    forged = 0
    for body, is_forged in make_bodies(7, MAILS, addresses):
        forged += is_forged
        assert [sendgrid(INBOUND, body).status_code for _ in range(2)] == [200, 200]
    assert InboundMail.objects.count() == MAILS
    stored = InboundMail.objects.filter(outcome="stored").count()
    assert stored == Message.objects.count()
    assert InboundMail.objects.filter(outcome="unmatched").count() >= forged
    # The generator makes mails, not noise.
    assert stored > MAILS / 2


def test_are_stored_once_as_imap_has_them(ticket, address):
    generator = Generator(8)
    for _ in range(100):
        raw = generator.mail(address)
        assert receive_raw(raw, Way.IMAP) == receive_raw(raw, Way.IMAP)
    assert InboundMail.objects.count() == 100


HOSTILE = {
    "nested": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000)
    ),
    "mails within mails": b"Content-Type: message/rfc822\n\n" * 2_000,
    "many parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 20_000,
    "many lines": b"A: b\n\n" + b"\n" * 5_000_000,
    "a parameter without end": b'Content-Type: a/b; x="' + b";" * 2_000_000,
    "many such parameters": b"Content-Type: multipart/mixed; boundary=b\n\n"
    + (b'--b\nContent-Type: multipart/mixed; x="' + b";" * 3_900 + b"\n\n") * 500,
    "encoded words": b"Subject: " + b"=?a?q?" * 100_000 + b"\n\n",
    "recipients": b"To: " + b"a@b, " * 500_000 + b"\n\n",
    "tags": b"Content-Type: text/html\n\n" + b"<a " * 300_000,
    "comments": b"Content-Type: text/html\n\n" + b"<!--" * 200_000,
    "elements": b"Content-Type: text/html\n\n" + b"<div><p>" * 100_000,
    "quotations": b"\n\n" + b"On a, b wrote\n" * 20_000,
    "heads": b"\n\n" + b"From: a\nSent: b\n" * 20_000,
    "noise": bytes(range(256)) * 2_000,
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(30)
def test_cost_no_more_than_their_size(name):
    """Each took minutes, or all memory, with what is usual."""
    raw = HOSTILE[name]
    mail = parse_raw(raw)
    assert len(mail.text) + len(mail.quoted) + len(mail.raw) <= 420_000


def test_are_bounded_before_they_are_parsed():
    assert bound(HOSTILE["many lines"]).count(b"\n") < MOST_LINES
    assert len(bound(b"x" * (LARGEST_MAIL_BYTES + 1))) == LARGEST_MAIL_BYTES
    mail = BytesParser(policy=SAFE).parsebytes(HOSTILE["a parameter without end"] + b"\n\nx")
    assert mail["Content-Type"].count(";") < MOST_PARAMETERS


def test_that_cannot_be_read_are_kept_for_an_agent(sendgrid, ticket, address):
    head = f"To: {address}\nSubject: Deep\nFrom: ada@example.com\n".encode()
    sendgrid(INBOUND, make_raw_form(head + HOSTILE["nested"], address))
    mail = InboundMail.objects.get()
    assert (mail.outcome, mail.subject, mail.sender) == ("unmatched", "Deep", "ada@example.com")
    assert mail.ticket == ticket
    assert mail.raw.startswith("To: help+")

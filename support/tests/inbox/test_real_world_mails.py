"""What mail programs really send: text without what it quotes, in whatever character set."""

import tomllib

import pytest

from support.inbound_mail import InboundMail, Way
from support.inbox.receiving import receive_raw
from support.tests.inbox.mails import CORPUS
from support.tests.inbox.sendgrid import INBOUND, make_parsed_form, make_raw_form

pytestmark = pytest.mark.django_db
EXPECTED = tomllib.loads((CORPUS / "expected.toml").read_text())


def read(name, address):
    return (CORPUS / f"{name}.eml").read_bytes().replace(b"@ADDRESS@", address.encode())


def test_has_said_what_it_expects_of_each():
    assert set(EXPECTED) == {path.stem for path in CORPUS.glob("*.eml")}


@pytest.mark.parametrize("name", EXPECTED)
def test_is_read_as_a_person_reads_it(name, ticket, address):
    expected = EXPECTED[name]
    outcome = receive_raw(read(name, address), Way.IMAP, recipients=["help@ctxfy.example"])
    assert outcome == expected.get("outcome", "stored")
    mail = InboundMail.objects.get()
    assert mail.subject == expected.get("subject", mail.subject)
    assert not mail.raw
    if outcome != "stored":
        assert not ticket.messages.exists()
        return
    message = ticket.messages.get()
    assert message.text == expected["text"]
    assert message.quoted.endswith(expected.get("quoted", ""))
    assert bool(message.quoted) == ("quoted" in expected)
    assert [row["name"] for row in message.attachments] == expected.get("attachments", [])


@pytest.mark.parametrize("name", ["eight_bit_headers", "wrong_charset", "utf8_headers"])
def test_keeps_its_bytes_on_the_way(name, sendgrid, ticket, address):
    """In a field that SendGrid calls UTF-8 stands the mail as it came, whatever it is."""
    sendgrid(INBOUND, make_raw_form(read(name, address), address))
    assert ticket.messages.get().text == EXPECTED[name]["text"]


@pytest.mark.parametrize("name", EXPECTED)
def test_comes_as_well_where_sendgrid_takes_it_apart(name, sendgrid, ticket, address):
    body = make_parsed_form(read(name, address), address)
    assert sendgrid(INBOUND, body).status_code == 200
    mail = InboundMail.objects.get()
    assert mail.ticket == ticket
    assert mail.outcome == EXPECTED[name].get("outcome", "stored")

"""Mail without a ticket: an agent attaches or discards it, and of two the second is told."""

import pytest

from support.hearing import TicketClosedError
from support.inbound_mail import InboundMail, Way
from support.inbox.receiving import receive_raw
from support.models import Ticket
from support.tests.inbox.mails import make_mail
from support.timeline import TicketEvent
from support.unmatched_mail import AlreadySettledError, attach, discard

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(db):
    text = "Where is it?\n\n> Here"
    mail = make_mail("help@ctxfy.example", text, sender="eve@example.com")
    assert receive_raw(mail, Way.IMAP) == "unmatched"
    return InboundMail.objects.get()


def test_becomes_a_message_of_the_ticket(held, ticket, agent):
    message = attach(held, ticket.pk, agent, leased=False)
    assert (message.text, message.quoted) == ("Where is it?", "> Here")
    assert (message.via, message.sender) == ("mail", "eve@example.com")
    held.refresh_from_db()
    assert (held.outcome, held.message, held.ticket) == ("stored", message, ticket)
    assert (held.settled_by, held.text, held.quoted) == (agent, "", "")
    assert held.settled_at
    ticket.refresh_from_db()
    assert ticket.state == "open"


def test_is_attached_even_if_nobody_could_read_it(ticket, agent):
    raw = b"Content-Type: message/rfc822\n\n" * 2_000
    assert receive_raw(raw, Way.IMAP) == "unmatched"
    message = attach(InboundMail.objects.get(), ticket.pk, agent, leased=False)
    assert raw.decode().startswith(message.quoted)
    assert len(message.quoted) > 20_000


def test_is_discarded(held, agent):
    discard(held, agent)
    held.refresh_from_db()
    assert (held.outcome, held.settled_by, held.text) == ("discarded", agent, "Where is it?")


@pytest.mark.parametrize("first", ["attach", "discard"])
def test_is_settled_once(held, ticket, agent, colleague, first):
    acts = {
        "attach": lambda person: attach(held, ticket.pk, person, leased=False),
        "discard": lambda person: discard(held, person),
    }
    acts[first](agent)
    events = TicketEvent.objects.count()
    for act in acts.values():
        with pytest.raises(AlreadySettledError) as told:
            act(colleague)
        assert told.value.mail.settled_by == agent
    assert TicketEvent.objects.count() == events
    assert ticket.messages.count() == (first == "attach")


def test_stays_where_it_is_if_the_ticket_takes_none(held, ticket, agent):
    Ticket.objects.update(state="closed")
    with pytest.raises(TicketClosedError):
        attach(held, ticket.pk, agent, leased=False)
    held.refresh_from_db()
    assert held.outcome == "unmatched"


def test_that_is_brought_again_does_not_come_back(held, agent):
    discard(held, agent)
    mail = make_mail("help@ctxfy.example")
    assert receive_raw(mail, Way.IMAP) == receive_raw(mail, Way.SENDGRID) == "unmatched"
    assert InboundMail.objects.count() == 2

"""`manage.py trace_ticket ID` tells a ticket's whole way, and nobody's words."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from support.inbound_mail import InboundMail
from support.models import Ticket
from support.tests.factories import TicketFactory


def trace(ticket_id, *arguments):
    out = StringIO()
    call_command("trace_ticket", str(ticket_id), *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def travelled(post, api, desk, use_mail, scripted_smtp_server):
    """(the ticket, the answer of its POST): mailed, answered by an agent and by the customer."""
    use_mail(scripted_smtp_server)
    answer = post(message="TOP-SECRET-ONE")
    ticket = Ticket.objects.get()
    page = f"/admin/support/ticket/{ticket.pk}"
    assert desk.post(f"{page}/note/", {"text": "TOP-SECRET-TWO"}).status_code == 302
    api.post(
        f"/v1/support/tickets/{ticket.pk}/messages",
        {"message": "TOP-SECRET-THREE"},
        content_type="application/json",
    )
    InboundMail.objects.create(
        ticket=ticket,
        way="imap",
        digest="d",
        outcome="ignored",
        reason="An automatic answer",
        sender="\x1b[2Jada@example.com",
        received_at=timezone.now(),
    )
    return ticket, answer


def test_tells_the_whole_way_in_words(travelled):
    ticket, answer = travelled
    told = trace(ticket.pk)
    lines = [line.split("  ") for line in told.splitlines()]
    kinds = [line[1].strip() for line in lines if line[0] != "now"]
    assert kinds[:2] == ["ticket", "attempt"]
    assert sorted(kinds) == [
        "act",
        "act",
        "attempt",
        "attempt",
        "inbound mail",
        "message",
        "ticket",
    ]
    assert f"stored by request {answer['X-Request-Id']}" in told
    for words in ("was accepted after", "note by bea", "14 characters", "An automatic answer"):
        assert words in told
    assert told.splitlines()[-1].startswith("now")
    assert "email_status sent" in told
    assert "SECRET" not in told
    assert "\x1b" not in told


def test_tells_machines_the_same(travelled):
    ticket, answer = travelled
    told = json.loads(trace(ticket.pk, "--json"))
    first, attempt = told["steps"][:2]
    assert told["ticket"]["email_status"] == "sent"
    assert first["facts"]["request_id"] == answer["X-Request-Id"]
    assert (attempt["kind"], attempt["facts"]["outcome"]) == ("attempt", "sent")
    assert {"at", "kind", "what", "facts"} == first.keys()
    assert "SECRET" not in json.dumps(told)


@pytest.mark.django_db
def test_tells_why_a_mail_waits():
    entry = {
        "at": "2026-11-24T06:59:02.355+00:00",
        "ms": 12,
        "outcome": "failed",
        "kind": "transient",
        "code": "451",
        "text": "The mail server asked to try again later",
    }
    ticket = TicketFactory(attempt_log=[entry], last_error="transient 451: later", attempts=1)
    told = trace(ticket.pk)
    assert "was not accepted after 12 ms: transient 451, The mail server asked" in told
    assert "last_error transient 451: later" in told


@pytest.mark.django_db
def test_costs_the_same_with_many_steps(django_assert_num_queries):
    ticket = TicketFactory()
    for _ in range(5):
        ticket.events.create(kind="state", before="new", after="open")
    with django_assert_num_queries(4):
        trace(ticket.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("ticket_id", ["x", "01a20c59-d053-754a-b02f-3b944ede69f9"])
def test_says_that_there_is_no_such_ticket(ticket_id):
    with pytest.raises(CommandError) as refused:
        trace(ticket_id)
    assert refused.value.returncode == 2

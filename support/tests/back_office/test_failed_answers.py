"""An answer that no customer got: its ticket is open again, and first in its author's list."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from ctxfy_support.tests.scripted_smtp_server import Answer
from support.delivery import attempts
from support.models import Message, Ticket
from support.tests.back_office.test_queue import found, look
from support.tests.back_office.test_replies import answer, make_reply, page_of, resend
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

REFUSED = Answer(550, "5.1.1 no such user")
INDEX = reverse("admin:index")


@pytest.fixture
def refusing(use_mail, scripted_smtp_server):
    """A server that takes no mail to this customer."""
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["RCPT"] = REFUSED
    return scripted_smtp_server


@pytest.fixture
def ticket(agent):
    return TicketFactory(email_status="sent", assignee=agent)


def failures(ticket):
    events = ticket.events.filter(kind="failure")
    return [(event.actor, event.before, event.after, event.text[:11]) for event in events]


def test_opens_the_ticket_again_and_says_why(desk, refusing, ticket):
    answer(desk, ticket)
    ticket.refresh_from_db()
    assert ticket.state == "open"
    assert failures(ticket) == [(None, "waiting", "open", "message 550")]
    page = page_of(desk, ticket)
    assert "The answer to ada@example.com did not go out" in page
    assert "from <b>waiting</b> to <b>open</b>" in page
    assert "Somebody" not in page


def test_opens_a_ticket_that_was_solved_meanwhile(desk, agent, refusing, ticket):
    refusing.faults["RCPT"] = Answer(451, "later")
    answer(desk, ticket)
    Ticket.objects.filter(pk=ticket.pk).change(agent, state="solved")
    past = timezone.now() - timedelta(hours=73)
    Message.objects.update(retrying_since=past, next_attempt_at=past)
    attempts.attempt_next()
    ticket.refresh_from_db()
    assert (ticket.state, ticket.solved_at) == ("open", None)
    assert failures(ticket) == [(None, "solved", "open", "transient 4")]


def test_leaves_the_ticket_waiting_while_it_is_tried_again(desk, refusing, ticket):
    refusing.faults["RCPT"] = Answer(451, "later")
    answer(desk, ticket)
    ticket.refresh_from_db()
    assert (ticket.state, failures(ticket)) == ("waiting", [])
    assert found(desk, tab="mail") == [ticket]


def test_stands_first_in_its_authors_list(desk, refusing, agent, colleague, ticket):
    theirs = TicketFactory(email_status="sent", assignee=colleague)
    urgent = TicketFactory(email_status="sent", assignee=agent, priority=4)
    for failed in (ticket, theirs):
        answer(desk, failed, confirmed="1")
    mine = look(desk, tab="mine")
    assert mine.context["rows"] == [ticket, theirs, urgent]
    assert mine.content.decode().count("Answer failed") == 2
    assert mine.context["tab_counts"]["mine"] == 3
    assert found(desk, tab="mine", q="twice") == [ticket, theirs, urgent]


def test_is_walked_through_in_that_order(desk, refusing, agent, ticket):
    urgent, calm = (TicketFactory(email_status="sent", assignee=agent, priority=p) for p in (4, 1))
    answer(desk, ticket)
    order = [ticket, urgent, calm]
    for place, each in enumerate(order):
        url = reverse("admin:support_ticket_change", args=[each.pk])
        context = desk.get(f"{url}?queue=tab%3Dmine").context
        assert context["before"] == (order[place - 1].pk if place else None)
        assert context["after"] == (order[place + 1].pk if place < 2 else None)


def test_goes_on_page_after_page(desk, refusing, agent, ticket):
    answer(desk, ticket)
    TicketFactory.create_batch(60, email_status="sent", assignee=agent)
    pages = [found(desk, tab="mine", page=str(number)) for number in (1, 2)]
    assert [len(page) for page in pages] == [50, 11]
    assert pages[0][0] == ticket
    assert len({row.pk for page in pages for row in page}) == 61


def test_is_told_once_however_often_it_fails(desk, refusing, ticket):
    answer(desk, ticket)
    for _ in range(2):
        assert resend()[-1] == "sent=0 pending=0 failed=1"
    assert len(failures(ticket)) == 1


def test_is_told_again_where_an_agent_sent_it_again(desk, refusing, ticket):
    answer(desk, ticket)
    url = reverse("admin:support_ticket_resend", args=[ticket.pk])
    desk.post(url, {"reply": str(Message.objects.get().pk)})
    assert len(failures(ticket)) == 2


def test_is_marked_and_told_at_once_or_not_at_all(desk, refusing, ticket):
    """The database goes away between the two: the answer is tried again, and then told."""
    writing = []

    def fail(execute, sql, params, many, context):
        if writing and "support_ticket_events" in sql and sql.startswith("INSERT"):
            raise OperationalError("away")
        if sql.startswith("UPDATE") and "attempt_log" in sql:
            writing.append(True)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        answer(desk, ticket)
    reply = Message.objects.get()
    assert (reply.email_status, reply.attempts) == ("pending", 0)
    assert reply.leased_until is not None
    assert failures(ticket) == []
    Message.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    attempts.attempt_next()
    assert len(failures(ticket)) == 1


def test_counts_what_the_numbers_open(desk, ticket):
    """Tickets, not mails: one of them has two answers that failed, and its own mail too."""
    both = TicketFactory(email_status="failed")
    for _ in range(2):
        make_reply(both)
    make_reply(ticket)
    make_reply(TicketFactory(email_status="sent"), email_status="pending")
    page = desk.get(INDEX)
    mail, tabs = page.context["mail"], {tab["name"]: tab["count"] for tab in page.context["tabs"]}
    assert (mail["failed"], mail["pending"], tabs["mail"]) == (2, 1, 3)
    assert len(found(desk, tab="mail", email="failed")) == mail["failed"]
    assert len(found(desk, tab="mail", email="pending")) == mail["pending"]
    assert len(found(desk, tab="mail")) == tabs["mail"]
    for status in ("failed", "pending"):
        assert f"?tab=mail&amp;email={status}" in page.content.decode()


def test_is_sent_with_the_tickets_that_are_ticked(desk, provider, ticket):
    make_reply(ticket)
    url = reverse("admin:support_ticket_bulk")
    page = desk.post(url, {"do": "send", "tickets": [str(ticket.pk)]}, follow=True)
    assert "1 sent, 0 queued, 0 left alone" in page.content.decode()
    assert Message.objects.get().email_status == "sent"
    assert ticket.events.get().message is not None


def test_does_not_change_with_a_mail_to_support(refusing):
    ticket = TicketFactory(state="waiting", email_status="failed")
    refusing.faults.clear()
    refusing.faults["."] = Answer(554, "no")
    Ticket.objects.update(email_status="pending", next_attempt_at=timezone.now())
    attempts.attempt_next()
    ticket.refresh_from_db()
    assert (ticket.email_status, ticket.state) == ("failed", "waiting")

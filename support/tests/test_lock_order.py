"""Nobody waits in a circle: whoever locks several rows does it in one order, or waits for none."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from support.answering import write_reply
from support.delivery import attempts
from support.delivery.breaker import breaker
from support.mail_channel import MailChannel, channel_name
from support.models import Message, Ticket
from support.tests.back_office.test_unmatched_mail import make_mail
from support.tests.contention import run_contention
from support.tests.factories import TicketFactory
from support.timeline import EventKind, make_event
from support.unmatched_mail import AlreadySettledError, attach

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's writers take turns"),
]

AWAY = "transient connection: The mail server could not be reached"


@pytest.fixture
def background(settings):
    """Mail is configured, and only workers send it."""
    settings.SUPPORT_EMAIL, settings.SUPPORT_EMAIL_SENDER = "support@example.com", "console"
    settings.SUPPORT_EMAIL_DELIVERY = "background"


@pytest.fixture
def two_tickets():
    """Two tickets in the order of their keys; whatever else has an order has them reversed."""
    first, second = sorted(TicketFactory.build().pk for _ in range(2))
    now = timezone.now()
    for minutes, pk in enumerate((second, first), 1):
        later = now + timedelta(minutes=minutes)
        TicketFactory(pk=pk, created_at=now + timedelta(seconds=(pk == second)),
                      next_attempt_at=later, last_error=AWAY)  # fmt: skip
    return list(Ticket.objects.order_by("pk"))


def lock(ticket):
    Ticket.objects.select_for_update(no_key=True).get(pk=ticket.pk)


def somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def run_meanwhile(act, hold, *then, must_wait=None):
    """Hold a row, let `act` get as far as it can, lock the others; return what `act` returned."""

    def run():
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            hold()
            running = threads.submit(run)
            while not running.done() and not somebody_waits():
                time.sleep(0.01)
            assert must_wait is None or must_wait != running.done()
            for ticket in then:
                lock(ticket)
        return running.result(30)


def test_wakes_what_nobody_holds_and_the_rest_later(two_tickets, background):
    MailChannel.objects.create(name=channel_name(), must_wake=True)
    held, free = two_tickets
    run_meanwhile(attempts.wake_what_waited, lambda: lock(held), free)
    assert list(Ticket.objects.due()) == [free]
    breaker.__init__()
    attempts.wake_what_waited()
    assert Ticket.objects.due().count() == 2
    assert not MailChannel.objects.get().must_wake


def test_queues_many_in_the_order_of_all_others(two_tickets, background, desk):
    data = {"do": "send", "tickets": [str(ticket.pk) for ticket in two_tickets]}
    url = reverse("admin:support_ticket_bulk")
    first, second = two_tickets
    answer = run_meanwhile(lambda: desk.post(url, data), lambda: lock(first), second)
    assert answer.status_code == 302
    assert Ticket.objects.due().count() == 2


ACTS = {
    "claim of a sender": lambda ticket, agent: Ticket.objects.filter(pk=ticket.pk).claim(),
    "claim": lambda ticket, agent: ticket.claim_for(agent, instead_of=None),
    "change": lambda ticket, agent: Ticket.objects.filter(pk=ticket.pk).change(agent, priority=4),
    "customer's word": lambda ticket, agent: Ticket.objects.filter(pk=ticket.pk).solve_for(agent),
    "send again": lambda ticket, agent: Ticket.objects.filter(pk=ticket.pk).queue_again(),
    "answer": lambda ticket, agent: write_reply(ticket, agent, "x", leased=False),
    "attach": lambda ticket, agent: attach(make_mail(), ticket.pk, agent, leased=False),
}


@pytest.mark.parametrize("name", ACTS)
def test_waits_for_no_entry_in_the_timeline(two_tickets, background, agent, name):
    """An export or a note refers to the ticket from its own transaction, however long it takes."""
    ticket, _ = two_tickets

    def note():
        make_event(ticket.pk, None, EventKind.NOTE).save()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    assert run_meanwhile(lambda: ACTS[name](ticket, agent), note, must_wait=False)


def test_attaches_a_mail_to_one_of_two_tickets(two_tickets, background, agent):
    mail, (first, second) = make_mail(), two_tickets

    def attach_too():
        with pytest.raises(AlreadySettledError):
            attach(mail, second.pk, agent, leased=False)

    def hold():
        attach(mail, first.pk, agent, leased=False)

    run_meanwhile(attach_too, hold, must_wait=True)
    assert Message.objects.get().ticket == first


def test_holds_with_everybody_at_the_same_rows_at_once(use_mail, scripted_smtp_server):
    """The bar R17, short: agents, senders, an export and waking."""
    use_mail(scripted_smtp_server)
    result = run_contention(scripted_smtp_server, rounds=4, seconds=60)
    assert result.is_calm, result

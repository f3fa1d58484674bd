"""A mail is stored exactly once, whichever statement fails and whoever else brings it."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import OperationalError, connection

from support.answering import write_reply
from support.inbound_mail import InboundMail, Way
from support.inbox.receiving import receive_raw
from support.models import Message, Ticket
from support.reply_addresses import find_reply_address
from support.tests.delivery.test_fail_nth_operation import Nth, failing_statement, only_postgres
from support.tests.factories import TicketFactory, make_staff
from support.tests.inbox.mails import make_dsn, make_mail
from support.tests.inbox.test_bounces import mark_sent
from support.timeline import TicketEvent

pytestmark = pytest.mark.django_db(transaction=True)
MOMENTS = [
    partial(Nth, moment="before", error=OperationalError),
    partial(Nth, moment="after", error=OperationalError),
    pytest.param(partial(Nth, moment="lost", error=OperationalError), marks=only_postgres),
]


def make_customers_mail(address, ticket):
    return make_mail(address)


def make_automatic_mail(address, ticket):
    return make_mail(address, Auto_Submitted="auto-replied")


def make_stray_mail(address, ticket):
    return make_mail("help@ctxfy.example")


def make_bounce(address, ticket):
    answer = write_reply(ticket, make_staff("Agents", f"a{ticket.pk}"), "x", leased=False)
    Message.objects.update(email_status="pending")
    mark_sent(answer)
    return make_dsn(address, f"<{answer.pk}@tickets.ctxfy>", address)


# What is brought, and what there is of it in the end: messages by mail, entries, held mails.
KINDS = {
    make_customers_mail: (1, 2, 0),
    make_automatic_mail: (0, 1, 0),
    make_stray_mail: (0, 0, 1),
    make_bounce: (0, 1, 0),
}


def count_all(ticket, before):
    return (
        ticket.messages.filter(via="mail").count(),
        TicketEvent.objects.count() - before,
        InboundMail.objects.filter(outcome="unmatched").count(),
    )


@pytest.mark.parametrize("nth_of", MOMENTS, ids=["before", "after", "lost"])
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_whichever_statement_fails(make, nth_of):
    n = 0
    failed = True
    while failed:
        n += 1
        ticket = TicketFactory(state="waiting", email_status="sent")
        mail = make(find_reply_address(ticket.pk), ticket)
        before = TicketEvent.objects.count()
        nth = nth_of(n)
        with failing_statement(nth):
            try:
                receive_raw(mail, Way.IMAP)
            except OperationalError:
                assert count_all(ticket, before) in {(0, 0, 0), KINDS[make]}
        # Brought again, for it was not acknowledged; and once more, for that was lost.
        receive_raw(mail, Way.IMAP)
        receive_raw(mail, Way.SENDGRID)
        assert count_all(ticket, before) == KINDS[make]
        assert InboundMail.objects.count() == 1
        failed = nth.failed
        for rows in (InboundMail, TicketEvent, Message, Ticket):
            rows.objects.all().delete()
    assert n > 3


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's writers take turns")
@pytest.mark.parametrize("make", [make_customers_mail, make_automatic_mail, make_stray_mail])
def test_whoever_else_brings_it(make):
    ticket = TicketFactory(state="waiting", email_status="sent")
    mail = make(find_reply_address(ticket.pk), ticket)

    def receive(_):
        try:
            return receive_raw(mail, Way.SENDGRID)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(receive, range(24)))) == 1
    assert InboundMail.objects.count() == 1
    assert count_all(ticket, 0) == KINDS[make]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's writers take turns")
def test_and_no_more_than_twenty_an_hour_of_a_ticket():
    ticket = TicketFactory(email_status="sent")
    address = find_reply_address(ticket.pk)

    def receive(mail):
        try:
            return receive_raw(mail, Way.SENDGRID)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(receive, [make_mail(address) for _ in range(30)]))
    assert ticket.messages.count() == 20
    assert InboundMail.objects.filter(outcome="unmatched").count() == 10

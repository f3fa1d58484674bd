"""The queue's tabs, and counts that stop at a limit.

A ticket's mail is its own, to support, and every answer to its customer.
"""

from collections.abc import Iterable

from django.contrib.auth.models import AbstractUser
from django.db.models import Model, Q, QuerySet

from support.models import Message, Ticket, TicketQuerySet
from support.outbox import EmailStatus
from support.triage import TicketState

COUNT_LIMIT = 10_000
TAB_COUNT_LIMIT = 99

TABS = {
    "mine": "Mine",
    "unassigned": "Unassigned",
    "open": "Open",
    "waiting": "Waiting",
    "mail": "Mail trouble",
    "all": "All",
}


def split_by_mail(tickets: TicketQuerySet, *statuses: EmailStatus) -> list[TicketQuerySet]:
    """Of these tickets what has_mail() means, in two parts that share none.

    Those whose own mail it is come from the small index of what is unsent in any order by time, so
    a page costs the same when 100,000 wait.
    """
    answers = Message.objects.filter(email_status__in=statuses).order_by()
    return [
        tickets.filter(email_status__in=statuses),
        tickets.exclude(email_status__in=statuses).filter(pk__in=answers.values("ticket")),
    ]


def has_mail(*statuses: EmailStatus) -> Q:
    """Whether a ticket's own mail, or that of an answer to it, has one of these statuses.

    A union of ids, each half from the small index of what is unsent; with OR, PostgreSQL would
    read the whole table.
    """
    own = Ticket.objects.filter(email_status__in=statuses).order_by()
    answers = Message.objects.filter(email_status__in=statuses).order_by()
    return Q(pk__in=own.values("pk").union(answers.values("ticket")))


def failed_answers_of(agent: AbstractUser) -> QuerySet[Message]:
    """What the agent wrote and no customer got."""
    return Message.objects.filter(email_status=EmailStatus.FAILED, author=agent.pk).order_by()


def mine(agent: AbstractUser) -> list[TicketQuerySet]:
    """An agent's tab in two parts that share none: what they have, and what they owe an answer."""
    tickets = Ticket.objects.unsolved().order_by()
    failed = failed_answers_of(agent).values("ticket")
    owing = tickets.filter(pk__in=failed).exclude(assignee__isnull=False, assignee=agent.pk)
    return [tickets.filter(assignee=agent.pk), owing]


def in_tab(name: str, agent: AbstractUser) -> TicketQuerySet:
    """The tickets of a tab; those of the first four are unsolved, so one small index has them."""
    tickets: TicketQuerySet = Ticket.objects.all()
    match name:
        case "mine":
            failed = failed_answers_of(agent).values("ticket")
            return tickets.unsolved().filter(Q(assignee=agent.pk) | Q(pk__in=failed))
        case "unassigned":
            return tickets.unsolved().filter(assignee=None)
        case "open":
            return tickets.unsolved().exclude(state=TicketState.WAITING)
        case "waiting":
            return tickets.unsolved().filter(state=TicketState.WAITING)
        case "mail":
            return tickets.filter(has_mail(EmailStatus.PENDING, EmailStatus.FAILED))
    return tickets


def count_tab(name: str, agent: AbstractUser, limit: int) -> int:
    """How many tickets a tab has; limit + 1 stands for any number above the limit."""
    if name == "mail":
        unsent = (EmailStatus.PENDING, EmailStatus.FAILED)
        return count_parts(split_by_mail(Ticket.objects.all(), *unsent), limit)
    if name == "mine":
        return count_parts(mine(agent), limit)
    return count_up_to(in_tab(name, agent), limit)


def count_parts(parts: Iterable[QuerySet[Model]], limit: int) -> int:
    """The same of rows in several parts that share none."""
    count = 0
    for part in parts:
        count += count_up_to(part, limit - count) if count <= limit else 0
    return count


def count_up_to(tickets: QuerySet[Model], limit: int) -> int:
    """How many there are; limit + 1 stands for any number above the limit."""
    return tickets.order_by().values("pk")[: limit + 1].count()

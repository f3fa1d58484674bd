"""The questions that the queue answers first, and counts that stop in time."""

from django.contrib.auth.models import AbstractUser
from django.db.models import Model, QuerySet

from support.models import Ticket, TicketQuerySet
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


def in_tab(name: str, agent: AbstractUser) -> TicketQuerySet:
    """The tickets of a tab; those of the first four are unsolved, so one small index has them."""
    tickets: TicketQuerySet = Ticket.objects.all()
    match name:
        case "mine":
            return tickets.unsolved().filter(assignee=agent.pk)
        case "unassigned":
            return tickets.unsolved().filter(assignee=None)
        case "open":
            return tickets.unsolved().exclude(state=TicketState.WAITING)
        case "waiting":
            return tickets.unsolved().filter(state=TicketState.WAITING)
        case "mail":
            return tickets.unsent()
    return tickets


def count_up_to(tickets: QuerySet[Model], limit: int) -> int:
    """How many there are; limit + 1 stands for any number above the limit."""
    return tickets.order_by().values("pk")[: limit + 1].count()

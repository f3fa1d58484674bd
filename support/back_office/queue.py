"""The queue that an agent looks at: a tab, filters that combine, a search, an order, a page.

Whatever stands in the address, the answer is a list: what makes no sense is left out and named.
Nothing counts or skips more than COUNT_LIMIT rows, however many there are.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Left
from django.http import QueryDict
from django.utils import timezone

from support.back_office import search
from support.back_office.tabs import (
    COUNT_LIMIT,
    TAB_COUNT_LIMIT,
    TABS,
    count_parts,
    count_tab,
    count_up_to,
    failed_answers_of,
    has_mail,
    in_tab,
    mine,
    split_by_mail,
)
from support.models import Message, Ticket, TicketQuerySet
from support.outbox import EmailStatus
from support.triage import Priority, TicketState

PER_PAGE = 50
OPENING_CHARACTERS = 300
RECENT_TICKETS = 500
# So many of a tag are sorted rather than looked for.
FEW_TAGGED = 2_000
UNSENT = [EmailStatus.PENDING, EmailStatus.FAILED]
# The filters whose indexes tell solved tickets from unsolved ones.
SPLIT = {"state", "type", "plan", "priority", "assignee"}
# About where a search row by row takes as long as one by the index of words.
FEW_ROWS = 30_000
MOST_FAILED_ANSWERS = 100
# Above what the server guesses of a word that it knows nothing of.
FREQUENT = 200_000
# So many among the newest FEW_ROWS: a word that a list by time comes upon again and again.
MANY_FOUND = 500

ORDERS = {
    "next": ("Urgent, then oldest", ("-priority", "created_at", "id")),
    "newest": ("Newest first", ("-created_at", "-id")),
    "oldest": ("Oldest first", ("created_at", "id")),
}
AGES = {
    "day": ("Last 24 hours", timedelta(days=1), "gte"),
    "week": ("Last 7 days", timedelta(days=7), "gte"),
    "over-day": ("Older than a day", timedelta(days=1), "lt"),
    "over-3-days": ("Older than 3 days", timedelta(days=3), "lt"),
    "over-week": ("Older than a week", timedelta(days=7), "lt"),
}
CHOICES: dict[str, dict[str, str]] = {
    "state": {"unsolved": "Unsolved"} | {value: str(label) for value, label in TicketState.choices},
    "priority": {str(value): str(label) for value, label in Priority.choices},
    "email": {value: str(label) for value, label in EmailStatus.choices},
    "age": {value: label for value, (label, _, _) in AGES.items()},
}
TEXTS = {"type": 64, "plan": 50}
IDS = ("assignee", "tag", "account")


class Match(NamedTuple):
    """What a search keeps of a ticket: as much as any order of the list asks for."""

    pk: UUID
    created_at: datetime
    priority: int


# The same orders for rows that are in memory.
SORT_KEYS: dict[str, Callable[[Match | Ticket], tuple[float, float, int]]] = {
    "next": lambda row: (-row.priority, row.created_at.timestamp(), row.pk.int),
    "newest": lambda row: (0, -row.created_at.timestamp(), -row.pk.int),
    "oldest": lambda row: (0, row.created_at.timestamp(), row.pk.int),
}


class Queue:
    """One agent's view, as the address's query string says."""

    def __init__(self, agent: AbstractUser, params: QueryDict) -> None:
        self.agent = agent
        self.nonsense: list[str] = []
        self.tab = params.get("tab", "open")
        if self.tab not in TABS:
            self.nonsense.append("tab")
            self.tab = "open"
        self.search = search.clean(params.get("q", ""))
        # A search that looked at the newest tickets alone; known once it has been made.
        self.is_cut = False
        self.filters = {
            name: value
            for name in (*CHOICES, *TEXTS, *IDS)
            if (given := params.get(name)) and (value := self._check(name, given))
        }
        # Priorities are in order in the index of what is unsolved alone.
        self.orders = ORDERS if self.tab not in {"all", "mail"} else _without_next()
        first = next(iter(self.orders))
        self.order = params.get("order", first)
        if self.order not in self.orders:
            self.order = first
        page = params.get("page", "1")
        self.number = int(page) if page.isdecimal() and len(page) < 6 else 1

    def _check(self, name: str, value: str) -> str:
        """The value, or nothing where the filter knows no such value."""
        if name in CHOICES:
            good = value in CHOICES[name]
        elif name in TEXTS:
            good = len(value) <= TEXTS[name] and value.isprintable()
        else:
            words = ("me", "nobody") if name == "assignee" else ()
            good = value in words or (value.isdecimal() and len(value) <= 15)
        if not good:
            self.nonsense.append(name)
        return value if good else ""

    @cached_property
    def tickets(self) -> TicketQuerySet:
        """What the tab, the filters and the search leave, in no order."""
        tickets = self._narrow(in_tab(self.tab, self.agent).order_by(), self.filters)
        if not self.search:
            return tickets
        # Tabs are the work at hand, however many tickets there ever were.
        few = self.tab != "all" and count_up_to(tickets, FEW_ROWS) <= FEW_ROWS
        return tickets.filter(self._said(row_by_row=few or self.is_frequent))

    @cached_property
    def is_frequent(self) -> bool:
        """Whether the server thinks that so many have the words, and more than would be counted."""
        if not self.search:
            return False
        found = Ticket.objects.filter(self._said(row_by_row=False)).order_by()
        return search.estimate(found) > FREQUENT and search.estimate(self._by_index()) > COUNT_LIMIT

    def _by_index(self) -> TicketQuerySet:
        tickets = self._narrow(in_tab(self.tab, self.agent).order_by(), self.filters)
        return tickets.filter(self._said(row_by_row=False))

    def _said(self, *, row_by_row: bool) -> Q:
        return search.matches(self.search, self._accounts, row_by_row=row_by_row)

    @cached_property
    def _accounts(self) -> list[int]:
        return search.find_accounts(self.search)

    def _narrow(self, tickets: TicketQuerySet, names: Iterable[str]) -> TicketQuerySet:
        for name in names:
            tickets = tickets.filter(self._condition(name, self.filters[name]))
        return tickets

    @cached_property
    def parts(self) -> list[TicketQuerySet]:
        """The same as `tickets` in parts that share none, each with an index in the list's order.

        A condition over all of them would have PostgreSQL gather every row before it sorts.
        """
        chosen = self.filters.get("email")
        if not self.search and (chosen in UNSENT or (self.tab == "mail" and not chosen)):
            everything = in_tab("all" if self.tab == "mail" else self.tab, self.agent).order_by()
            statuses = [EmailStatus(chosen)] if chosen else UNSENT
            rest = self._narrow(everything, self.filters.keys() - {"email"})
            return split_by_mail(rest, *statuses)
        if self.tab == "mine" and not self.search:
            return [self._narrow(part, self.filters) for part in mine(self.agent)]
        is_split = SPLIT & self.filters.keys() and self.filters.get("state") != "unsolved"
        if self.tab == "all" and not self.search and is_split:
            return [self.tickets.filter(solved_at__isnull=unsolved) for unsolved in (True, False)]
        return [self.tickets]

    def slice(
        self,
        parts: list[TicketQuerySet],
        begin: int,
        end: int,
        order: str,
        *,
        backwards: bool = False,
    ) -> list[Match]:
        """These places among the parts' rows in one order.

        Each part is asked for its own first rows: of a UNION PostgreSQL sorts all before it takes
        any.
        """
        fields = reverse(ORDERS[order][1]) if backwards else ORDERS[order][1]
        first = begin if len(parts) == 1 else 0
        found = [
            Match(*row)
            for part in parts
            for row in part.order_by(*fields).values_list("pk", "created_at", "priority")[first:end]
        ]
        if len(parts) == 1:
            return found
        return sorted(found, key=SORT_KEYS[order], reverse=backwards)[begin:end]

    def _condition(self, name: str, value: str) -> Q:
        match name:
            case "assignee":
                known = {"me": self.agent.pk, "nobody": None}
                return Q(assignee=known[value] if value in known else int(value))
            case "state" if value == "unsolved":
                return Q(solved_at__isnull=True)
            case "age":
                _, age, lookup = AGES[value]
                return Q(**{f"created_at__{lookup}": timezone.now() - age})
            case "tag":
                return Q(pk__in=Ticket.tags.through.objects.filter(tag=int(value)).values("ticket"))
            case "email":
                # Answers are pending, sent or failed; of an answer that was sent nobody asks.
                if value in {EmailStatus.PENDING, EmailStatus.FAILED}:
                    return has_mail(EmailStatus(value))
                return Q(email_status=value)
            case "plan":
                return Q(subscription_plan=value)
            case "account":
                return Q(user=value)
        return Q(**{name: value})

    @cached_property
    def matches(self) -> list[Match] | None:
        """What a search or a tag left, in the list's order; None if it is too much.

        Walking an index in the list's order until enough rows match is right for a common word
        and reads the whole table for a rare one. So the matches are taken first, up to the limit,
        unless the words are in so many tickets that the newest show it.
        """
        if self.search and self.is_frequent:
            return self._rare_after_all()
        limit = COUNT_LIMIT if self.search else FEW_TAGGED
        if not self.search and "tag" not in self.filters:
            return None
        return self._take(self.tickets, limit)

    def _take(self, tickets: TicketQuerySet, limit: int) -> list[Match] | None:
        found = tickets.values_list("pk", "created_at", "priority")[: limit + 1]
        rows = [Match(*row) for row in found]
        return sorted(rows, key=self._sort_key) if len(rows) <= limit else None

    def _rare_after_all(self) -> list[Match] | None:
        """What has words that are frequent and seldom together; None if they are often.

        Then a server may have to compare lists of millions: what takes too long is left, and the
        newest tickets alone are searched.
        """
        newest = Ticket.objects.order_by("-created_at", "-id").values_list("created_at", flat=True)
        recent = self.tickets
        for since in newest[FEW_ROWS : FEW_ROWS + 1] if self.tab == "all" else ():
            recent = recent.filter(created_at__gte=since)
        rows = self.slice([recent], 0, MANY_FOUND + 1, "newest")
        if len(rows) > MANY_FOUND:
            return None
        is_whole, matches = search.within_time(lambda: self._take(self._by_index(), COUNT_LIMIT))
        self.is_cut = not is_whole
        return matches if is_whole else sorted(rows, key=self._sort_key)

    def _sort_key(self, row: Match | Ticket) -> tuple[object, ...]:
        return row.pk not in self.first_ids, SORT_KEYS[self.order](row)

    @cached_property
    def count(self) -> int:
        """How many there are; COUNT_LIMIT + 1 stands for any number above it."""
        if self.matches is not None:
            return len(self.matches)
        return COUNT_LIMIT + 1 if self.search else count_parts(self.parts, COUNT_LIMIT)

    @property
    def is_counted(self) -> bool:
        """Whether `count` is the number itself."""
        return self.count <= COUNT_LIMIT

    @property
    def pages(self) -> int:
        return max(1, -(-min(self.count, COUNT_LIMIT) // PER_PAGE))

    @property
    def page(self) -> int:
        return min(max(1, self.number), self.pages)

    @cached_property
    def first_ids(self) -> list[UUID]:
        """What stands before everything else: in one's own queue, the answers that failed."""
        if self.tab != "mine" or self.order != "next":
            return []
        failed = list(failed_answers_of(self.agent).values_list("ticket", flat=True))
        rows = self.tickets.filter(pk__in=failed).order_by(*ORDERS[self.order][1])
        return list(rows.values_list("pk", flat=True)[:MOST_FAILED_ANSWERS])

    def page_ids(self) -> list[UUID]:
        """Ids of the page's tickets in the list's order."""
        start = (self.page - 1) * PER_PAGE
        if self.matches is not None:
            return [row.pk for row in self.matches[start : start + PER_PAGE]]
        page = self.first_ids[start : start + PER_PAGE]
        begin = max(0, start - len(self.first_ids))
        end = begin + PER_PAGE - len(page)
        rest = self.slice(self._parts_without_first(), begin, end, self.order)
        return [*page, *(row.pk for row in rest)]

    def _parts_without_first(self) -> list[TicketQuerySet]:
        if not self.first_ids:
            return self.parts
        return [part.exclude(pk__in=self.first_ids) for part in self.parts]

    def newest_ids(self) -> list[UUID]:
        """Ids of all that is counted, newest first."""
        if self.matches is not None:
            return [row.pk for row in sorted(self.matches, key=SORT_KEYS["newest"])]
        return [row.pk for row in self.slice(self.parts, 0, COUNT_LIMIT, "newest")]

    def rows(self) -> list[Ticket]:
        """The page's tickets with what a list shows.

        Each has `opening`, its first characters, `is_answer_failed`, and `last_message`, the id of
        the newest message of its thread.
        """
        if not self.count:
            return []
        ids = self.page_ids()
        of_ticket = Message.objects.filter(ticket=OuterRef("pk"))
        thread = of_ticket.order_by("-created_at", "-id").values("pk")
        found = (
            Ticket.objects.filter(pk__in=ids)
            .select_related("user", "assignee")
            .prefetch_related("tags")
            .annotate(
                opening=Left("message", OPENING_CHARACTERS),
                is_answer_failed=Exists(of_ticket.filter(email_status=EmailStatus.FAILED)),
                # One step into the index of threads, however long they are.
                last_message=Subquery(thread[:1]),
            )
            .defer("message", "attempt_log")
        )
        by_id = {ticket.pk: ticket for ticket in found}
        return [by_id[pk] for pk in ids if pk in by_id]

    def tab_counts(self) -> dict[str, int]:
        return {
            name: count_tab(name, self.agent, TAB_COUNT_LIMIT) for name in TABS if name != "all"
        }

    def recent_choices(self) -> dict[str, list[str]]:
        """Types and plans to choose from: those of the newest 500 tickets, and the ones chosen."""
        recent = Ticket.objects.order_by("-created_at", "-id")
        pairs = list(recent.values_list("type", "subscription_plan")[:RECENT_TICKETS])
        chosen = {name: {self.filters[name]} for name in TEXTS if name in self.filters}
        return {
            "type": sorted({pair[0] for pair in pairs} | chosen.get("type", set())),
            "plan": sorted({pair[1] for pair in pairs} | chosen.get("plan", set())),
        }

    def query_string(self, **changes: object) -> str:
        """The address's query with these changes; None takes a part away."""
        parts = {"tab": self.tab, "q": self.search, **self.filters, "order": self.order} | changes
        return urlencode({name: value for name, value in parts.items() if value not in (None, "")})

    def neighbours(self, ticket: Ticket) -> tuple[UUID | None, UUID | None]:
        """Ids of the tickets before and after this one in the queue; None at either end."""
        if self.matches is not None:
            return self._neighbours_among(self.matches, ticket)
        if ticket.pk in self.first_ids:
            place = self.first_ids.index(ticket.pk)
            before = self.first_ids[place - 1] if place else None
            rest = self.slice(self._parts_without_first(), 0, 1, self.order)
            following = [*self.first_ids[place + 1 :], *(row.pk for row in rest)]
            return before, next(iter(following), None)
        before = self._first_beyond(ticket, backwards=True)
        last_first = self.first_ids[-1] if self.first_ids else None
        return before or last_first, self._first_beyond(ticket, backwards=False)

    def _neighbours_among(
        self, found: list[Match], ticket: Ticket
    ) -> tuple[UUID | None, UUID | None]:
        """The same in a search's list, which the ticket itself may have left meanwhile."""
        key = self._sort_key
        place = bisect_left(found, key(ticket), key=key)
        following = bisect_right(found, key(ticket), key=key)
        before = found[place - 1].pk if place else None
        return before, found[following].pk if following < len(found) else None

    def _first_beyond(self, ticket: Ticket, *, backwards: bool) -> UUID | None:
        fields = reverse(ORDERS[self.order][1]) if backwards else ORDERS[self.order][1]
        beyond, equal = Q(), Q()
        for field in fields:
            name = field.removeprefix("-")
            value, step = getattr(ticket, name), "lt" if field[0] == "-" else "gt"
            beyond |= equal & Q(**{f"{name}__{step}": value})
            equal &= Q(**{name: value})
        # Says nothing new, but lets an index start at this row instead of at its end.
        name, step = fields[0].removeprefix("-"), "lte" if fields[0][0] == "-" else "gte"
        start = Q(**{f"{name}__{step}": getattr(ticket, name)})
        parts = [part.filter(start & beyond) for part in self._parts_without_first()]
        found = self.slice(parts, 0, 1, self.order, backwards=backwards)
        return found[0].pk if found else None


def _without_next() -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: order for name, order in ORDERS.items() if name != "next"}


def reverse(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(field[1:] if field[0] == "-" else f"-{field}" for field in fields)

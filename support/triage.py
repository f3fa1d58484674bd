"""Where triage stands: state, priority, assignee and tags, and the rules that move them.

Each change and its entry in the timeline are one transaction; a change that changes nothing
leaves no trace.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Self, TypedDict, TypeVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from support.outbox import in_lock_order
from support.timeline import EventKind, TicketEvent, make_event


class Keep(Enum):
    """Says that a change leaves the assignee alone, for None means nobody."""

    AS_IT_IS = "as it is"


class TicketState(models.TextChoices):
    """Where triage stands; the API's `state`."""

    NEW = "new"
    OPEN = "open"
    WAITING = "waiting"
    SOLVED = "solved"
    CLOSED = "closed"


DONE = (TicketState.SOLVED, TicketState.CLOSED)


class Priority(models.IntegerChoices):
    LOW = 1
    NORMAL = 2
    HIGH = 3
    URGENT = 4


class Tag(models.Model):
    """A word that agents file tickets under."""

    name = models.CharField(max_length=40, unique=True)

    class Meta:
        db_table = "support_tags"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Changes(TypedDict, total=False):
    """The arguments of TriageQuerySet.change(); what is absent stays as it is."""

    state: str | None
    priority: int | None
    assignee: AbstractUser | Keep | None
    add_tags: list[Tag]
    remove_tags: list[Tag]


T = TypeVar("T", bound="Triaged", covariant=True)


class TriageQuerySet(models.QuerySet[T]):
    def unsolved(self) -> Self:
        """What is not solved and not closed; a constant condition, so that indexes can serve it."""
        return self.filter(solved_at__isnull=True)

    def change(
        self,
        actor: AbstractUser,
        *,
        state: str | None = None,
        priority: int | None = None,
        assignee: AbstractUser | Keep | None = Keep.AS_IT_IS,
        add_tags: Iterable[Tag] = (),
        remove_tags: Iterable[Tag] = (),
    ) -> int:
        """Move these rows, in one transaction; return how many really changed."""
        with transaction.atomic():
            rows = list(in_lock_order(self.select_related("assignee").prefetch_related("tags")))
            events = []
            if state is not None:
                events += self._change_state(actor, rows, TicketState(state))
            if priority is not None:
                events += self._change_priority(actor, rows, Priority(priority))
            if not isinstance(assignee, Keep):
                events += self._change_assignee(actor, rows, assignee)
            if add_tags or remove_tags:
                events += self._change_tags(actor, rows, set(add_tags), set(remove_tags))
            TicketEvent.objects.bulk_create(events)
        return len({event.ticket_id for event in events})

    def solve_for(self, customer: AbstractUser) -> bool:
        """The customer says that these are solved; return whether any was not, and is now.

        A closed row stays closed: the row's lock decides between this and an agent's act.
        """
        return bool(
            self.exclude(state=TicketState.CLOSED).change(customer, state=TicketState.SOLVED)
        )

    def _rows(self, tickets: Iterable[models.Model]) -> models.QuerySet[T]:
        return self.model._default_manager.filter(pk__in=[row.pk for row in tickets])

    def _change_state(
        self, actor: AbstractUser, rows: list[T], state: TicketState
    ) -> list[TicketEvent]:
        moved = [row for row in rows if row.state != state]
        now = timezone.now()
        solved_at = Coalesce(F("solved_at"), Value(now)) if state in DONE else None
        self._rows(moved).update(state=state, solved_at=solved_at, updated_at=now)
        return [make_event(row.pk, actor, EventKind.STATE, row.state, state) for row in moved]

    def _change_priority(
        self, actor: AbstractUser, rows: list[T], priority: Priority
    ) -> list[TicketEvent]:
        moved = [row for row in rows if row.priority != priority]
        self._rows(moved).update(priority=priority)
        return [
            make_event(
                row.pk, actor, EventKind.PRIORITY, row.get_priority_display(), priority.label
            )
            for row in moved
        ]

    def _change_assignee(
        self, actor: AbstractUser, rows: list[T], assignee: AbstractUser | None
    ) -> list[TicketEvent]:
        moved = [row for row in rows if row.assignee != assignee]
        self._rows(moved).update(assignee=assignee)
        return [
            make_event(
                row.pk, actor, EventKind.ASSIGNEE, row.assignee or "nobody", assignee or "nobody"
            )
            for row in moved
        ]

    def _change_tags(
        self, actor: AbstractUser, rows: list[T], add: set[Tag], remove: set[Tag]
    ) -> list[TicketEvent]:
        events, links, dropped = [], [], []
        for row in rows:
            before = set(row.tags.all())
            after = before - remove | add
            if after == before:
                continue
            through = row.tags.through
            links += [through(ticket_id=row.pk, tag_id=tag.pk) for tag in after - before]
            dropped.append(row)
            events.append(make_event(row.pk, actor, EventKind.TAGS, _names(before), _names(after)))
        if events:
            through._default_manager.filter(ticket__in=dropped, tag__in=remove - add).delete()
            through._default_manager.bulk_create(links, ignore_conflicts=True)
        return events


def _names(tags: Iterable[Tag]) -> str:
    return ", ".join(sorted(tag.name for tag in tags))


class Triaged(models.Model):
    """The columns of a row that people work on."""

    state = models.CharField(
        max_length=10, choices=TicketState.choices, default=TicketState.NEW, editable=False
    )
    priority = models.PositiveSmallIntegerField(
        choices=Priority.choices,
        default=Priority.NORMAL,
        db_default=Priority.NORMAL,
        editable=False,
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="assigned_tickets",
        limit_choices_to={"is_staff": True},
        db_index=False,
        editable=False,
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="tickets", editable=False)
    first_replied_at = models.DateTimeField(null=True, editable=False)
    # Set while `state` is solved or closed.
    solved_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def is_done(self) -> bool:
        return self.state in DONE

    def claim_for(self, agent: AbstractUser, *, instead_of: int | None) -> bool:
        """Make the agent its assignee, if it is still `instead_of`'s (a user id; None: nobody's).

        The row's lock decides, so of two agents who claim at once one is told no.
        """
        with transaction.atomic():
            rows = type(self)._default_manager.filter(pk=self.pk, assignee=instead_of)
            before = in_lock_order(rows.select_related("assignee")).first()
            if before is None or before.assignee == agent:
                return before is not None
            claimed_from = before.assignee or "nobody"
            events = [make_event(before.pk, agent, EventKind.CLAIM, claimed_from, agent)]
            changes: dict[str, object] = {"assignee": agent}
            if before.state == TicketState.NEW:
                changes |= {"state": TicketState.OPEN, "updated_at": timezone.now()}
                events.append(make_event(before.pk, agent, EventKind.STATE, "new", "open"))
            rows.update(**changes)
            TicketEvent.objects.bulk_create(events)
        return True

    def add_note(self, agent: AbstractUser, text: str) -> TicketEvent:
        """Keep an internal note; the customer never sees it."""
        event = make_event(self.pk, agent, EventKind.NOTE, text=text)
        event.save()
        return event

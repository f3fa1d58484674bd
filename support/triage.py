"""Where triage stands: state, priority, assignee and tags, and the rules that move them.

Each change and its entry in the timeline are one transaction; a change that changes nothing
leaves no trace.
"""

from collections.abc import Iterable
from typing import Any, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from support.timeline import EventKind, TicketEvent, make_event

KEEP: Any = object()


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


class TriageQuerySet(models.QuerySet[Any]):
    def unsolved(self) -> Self:
        """What is not solved and not closed; a constant condition, so that indexes can serve it."""
        return self.filter(solved_at__isnull=True)

    def change(
        self,
        actor: Any,
        *,
        state: str | None = None,
        priority: int | None = None,
        assignee: Any = KEEP,
        add_tags: Iterable[Tag] = (),
        remove_tags: Iterable[Tag] = (),
    ) -> int:
        """Move these rows, in one transaction; return how many really changed."""
        with transaction.atomic():
            rows = list(
                self.select_related("assignee")
                .prefetch_related("tags")
                .order_by("pk")
                .select_for_update(of=("self",))
            )
            events = []
            if state is not None:
                events += self._change_state(actor, rows, TicketState(state))
            if priority is not None:
                events += self._change_priority(actor, rows, Priority(priority))
            if assignee is not KEEP:
                events += self._change_assignee(actor, rows, assignee)
            if add_tags or remove_tags:
                events += self._change_tags(actor, rows, set(add_tags), set(remove_tags))
            TicketEvent.objects.bulk_create(events)
        return len({event.ticket_id for event in events})

    def _rows(self, tickets: list[Any]) -> Self:
        everything: Self = self.model._default_manager.filter(pk__in=[row.pk for row in tickets])
        return everything

    def _change_state(self, actor: Any, rows: list[Any], state: TicketState) -> list[TicketEvent]:
        moved = [row for row in rows if row.state != state]
        now = timezone.now()
        solved_at = Coalesce(F("solved_at"), Value(now)) if state in DONE else None
        self._rows(moved).update(state=state, solved_at=solved_at, updated_at=now)
        return [make_event(row, actor, EventKind.STATE, row.state, state) for row in moved]

    def _change_priority(
        self, actor: Any, rows: list[Any], priority: Priority
    ) -> list[TicketEvent]:
        moved = [row for row in rows if row.priority != priority]
        self._rows(moved).update(priority=priority)
        return [
            make_event(row, actor, EventKind.PRIORITY, row.get_priority_display(), priority.label)
            for row in moved
        ]

    def _change_assignee(self, actor: Any, rows: list[Any], assignee: Any) -> list[TicketEvent]:
        moved = [row for row in rows if row.assignee != assignee]
        self._rows(moved).update(assignee=assignee)
        return [
            make_event(
                row, actor, EventKind.ASSIGNEE, row.assignee or "nobody", assignee or "nobody"
            )
            for row in moved
        ]

    def _change_tags(
        self, actor: Any, rows: list[Any], add: set[Tag], remove: set[Tag]
    ) -> list[TicketEvent]:
        through, events, links, dropped = self.model.tags.through, [], [], []
        for row in rows:
            before = set(row.tags.all())
            after = before - remove | add
            if after == before:
                continue
            links += [through(ticket_id=row.pk, tag_id=tag.pk) for tag in after - before]
            dropped.append(row)
            events.append(make_event(row, actor, EventKind.TAGS, _names(before), _names(after)))
        through.objects.filter(ticket__in=dropped, tag__in=remove - add).delete()
        through.objects.bulk_create(links, ignore_conflicts=True)
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

    def claim_for(self, agent: Any, *, instead_of: int | None) -> bool:
        """Make the agent its assignee, if it is still `instead_of`'s (a user id; None: nobody's).

        One statement decides, so of two agents who claim at once one is told no.
        """
        cls: Any = type(self)
        with transaction.atomic():
            now = timezone.now()
            is_new = When(state=TicketState.NEW, then=Value(TicketState.OPEN.value))
            row = cls.objects.select_related("assignee").filter(pk=self.pk, assignee=instead_of)
            before = row.select_for_update(of=("self",)).first()
            if before is None or before.assignee == agent:
                return before is not None
            row.update(
                assignee=agent,
                state=Case(is_new, default=F("state")),
                updated_at=Case(
                    When(state=TicketState.NEW, then=Value(now)), default=F("updated_at")
                ),
            )
            events = [
                make_event(before, agent, EventKind.CLAIM, before.assignee or "nobody", agent)
            ]
            if before.state == TicketState.NEW:
                events.append(make_event(before, agent, EventKind.STATE, "new", "open"))
            TicketEvent.objects.bulk_create(events)
        return True

    def add_note(self, agent: Any, text: str) -> TicketEvent:
        """Keep an internal note; the customer never sees it."""
        event = make_event(self, agent, EventKind.NOTE, text=text)  # type: ignore[arg-type]
        event.save()
        return event

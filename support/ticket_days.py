"""What stays of tickets that are gone: how many there were each day, and nothing else of them."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Self

from django.db import connection, models

_ADD = """
INSERT INTO support_ticket_days (day, created, solved) VALUES {rows}
ON CONFLICT (day) DO UPDATE SET created = support_ticket_days.created + excluded.created,
    solved = support_ticket_days.solved + excluded.solved
"""


class TicketDayQuerySet(models.QuerySet["TicketDay"]):
    def add(self, times: Iterable[tuple[datetime, datetime | None]]) -> None:
        """Count tickets that are being deleted, by rows of (created_at, solved_at)."""
        created: Counter[date] = Counter()
        solved: Counter[date] = Counter()
        for created_at, solved_at in times:
            created[created_at.astimezone(UTC).date()] += 1
            if solved_at is not None:
                solved[solved_at.astimezone(UTC).date()] += 1
        # Sorted, so that two who delete lock the days in one order.
        rows = [(day, created[day], solved[day]) for day in sorted({*created, *solved})]
        if rows:
            sql = _ADD.format(rows=", ".join(["(%s, %s, %s)"] * len(rows)))
            with connection.cursor() as cursor:
                cursor.execute(sql, [value for row in rows for value in row])

    def since(self, day: date) -> Self:
        return self.filter(day__gte=day)


class TicketDay(models.Model):
    """How many tickets of a day (UTC) were created and solved, of those that are deleted."""

    day = models.DateField(primary_key=True)
    created = models.PositiveIntegerField(default=0)
    solved = models.PositiveIntegerField(default=0)

    objects = TicketDayQuerySet.as_manager()

    class Meta:
        db_table = "support_ticket_days"

    def __str__(self) -> str:
        return f"{self.day}: {self.created} created, {self.solved} solved"

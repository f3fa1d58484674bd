"""The numbers on the back-office's first page, each from an index and bounded in what it reads.

What many rows go into is read once and remembered for a while, by each process for itself.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, TypeVar

from django.contrib.auth.models import AbstractUser
from django.core.cache import cache
from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.utils import timezone

from support.back_office.agents import get_agent
from support.back_office.tabs import (
    COUNT_LIMIT,
    TABS,
    count_parts,
    count_tab,
    count_up_to,
    split_by_mail,
)
from support.mail_channel import MailChannel, channel_name
from support.mailboxes import find_missing_credentials, is_sending_paused
from support.models import Ticket, TicketDay, outboxes
from support.outbox import EmailStatus

CHART_DAYS = 30
BUSY_DAYS = 7
ROWS_SHOWN = 8
TIMES_TAKEN = 1_000
# Of the chart's days: so many are quickly counted again on every visit.
FEW_ROWS = 1_000
# A day that is over: only what is reopened or deleted changes it.
PAST_REMEMBERED = timedelta(hours=1)
PRESENT_REMEMBERED = timedelta(minutes=1)
# Rows (heading, from this age on, younger than that).
AGE_GROUPS = [
    ("Today", None, timedelta(days=1)),
    ("1–3 days", timedelta(days=1), timedelta(days=3)),  # noqa: RUF001
    ("3–7 days", timedelta(days=3), timedelta(days=7)),  # noqa: RUF001
    ("Older", timedelta(days=7), None),
]


V = TypeVar("V")


def show(request: HttpRequest, context: dict[str, object]) -> dict[str, object]:
    """Unfold's DASHBOARD_CALLBACK: the index page's context with the numbers in it."""
    if not request.user.has_perm("support.view_ticket"):
        return context
    agent = get_agent(request)
    now = timezone.now()
    lately = opened_since(now - timedelta(days=CHART_DAYS))
    many = count_up_to(lately, FEW_ROWS) > FEW_ROWS
    return context | {
        "title": "Dashboard",
        "tabs": count_tabs(agent),
        "open_types": remember(
            "open types", lambda: open_by_type_and_age(now), PRESENT_REMEMBERED, many=many
        ),
        "age_headings": [heading for heading, _, _ in AGE_GROUPS],
        "days": created_and_solved(now, many=many),
        "first_response": median_time("first_replied_at", now),
        "solution": median_time("solved_at", now),
        "mail": mail_health(),
        "busiest": remember(
            "busiest", lambda: busiest_accounts(now), PRESENT_REMEMBERED, many=many
        ),
        "count_limit": COUNT_LIMIT,
        "chart_days": CHART_DAYS,
        "busy_days": BUSY_DAYS,
    }


def remember(name: str, compute: Callable[[], V], duration: timedelta, *, many: bool) -> V:
    """What `compute` makes of many rows, for that long what it made before."""
    if not many:
        return compute()
    key = f"dashboard: {name}"
    known: V | None = cache.get(key)
    if known is None:
        known = compute()
        cache.set(key, known, duration.total_seconds())
    return known


def opened_since(moment: datetime) -> QuerySet[Ticket]:
    return Ticket.objects.filter(created_at__gte=moment).order_by()


def count_tabs(agent: AbstractUser) -> list[dict[str, object]]:
    """Each tab of the queue but the last: its name, label and how many are in it."""
    return [
        {
            "name": name,
            "label": label,
            "count": count_tab(name, agent, COUNT_LIMIT),
        }
        for name, label in TABS.items()
        if name != "all"
    ]


def open_by_type_and_age(now: datetime) -> list[dict[str, object]]:
    """The types with the most unsolved tickets: type, total, and `ages`, a count for each group."""
    groups = {
        f"age{number}": Count("created_at", filter=_between(now, oldest, youngest))
        for number, (_, youngest, oldest) in enumerate(AGE_GROUPS)
    }
    types = Ticket.objects.unsolved().order_by().values("type")
    rows = types.annotate(total=Count("*"), **groups).order_by("-total", "type")
    columns = rows.values_list("type", "total", *groups)[:ROWS_SHOWN]
    return [{"type": name, "total": total, "ages": ages} for name, total, *ages in columns]


def _between(now: datetime, oldest: timedelta | None, youngest: timedelta | None) -> Q:
    condition = Q()
    if oldest is not None:
        condition &= Q(created_at__gt=now - oldest)
    if youngest is not None:
        condition &= Q(created_at__lte=now - youngest)
    return condition


def created_and_solved(now: datetime, *, many: bool) -> list[dict[str, object]]:
    """For each of the last 30 days, today last: day, created, solved, both bars in percent."""
    first = now.date() - timedelta(days=CHART_DAYS - 1)
    created, solved = (_count_days(name, first, many=many) for name in ("created_at", "solved_at"))
    most = max([1, *created.values(), *solved.values()])
    days = [first + timedelta(days=number) for number in range(CHART_DAYS)]
    return [
        {
            "day": day,
            "created": created.get(day, 0),
            "solved": solved.get(day, 0),
            "created_percent": round(100 * created.get(day, 0) / most),
            "solved_percent": round(100 * solved.get(day, 0) / most),
            "created_top": 100 - round(100 * created.get(day, 0) / most),
            "solved_top": 100 - round(100 * solved.get(day, 0) / most),
            "most": most,
        }
        for day in days
    ]


def _count_days(field: str, first: date, *, many: bool) -> dict[date, int]:
    """Tickets for each day from the first on. The days that are over hardly change any more."""
    today = first + timedelta(days=CHART_DAYS - 1)
    since, midnight = (
        timezone.make_aware(datetime.combine(day, datetime.min.time())) for day in (first, today)
    )
    rows = Ticket.objects.filter(**{f"{field}__gte": since}).order_by()
    gone = TicketDay.objects.since(first)
    if not many:
        return _by_day(rows, gone, field)
    past = rows.filter(**{f"{field}__lt": midnight})
    gone_past = gone.filter(day__lt=today)
    # What is deleted changes a table and the other at once, so they are remembered together.
    known = remember(
        f"{field} {today}", lambda: _by_day(past, gone_past, field), PAST_REMEMBERED, many=many
    )
    present = rows.filter(**{f"{field}__gte": midnight})
    return known | _by_day(present, gone.filter(day=today), field)


def _by_day(rows: QuerySet[Ticket], gone: QuerySet[TicketDay], field: str) -> dict[date, int]:
    """How many there are and, of those that were deleted, were."""
    days = rows.annotate(day=TruncDate(field)).values_list("day").annotate(tickets=Count("*"))
    counts: Counter[date] = Counter()
    for day, tickets in days.union(gone.values_list("day", field.removesuffix("_at")), all=True):
        counts[day] += tickets
    return counts


def median_time(field: str, now: datetime) -> timedelta | None:
    """From a ticket's creation to this time, of the last 1,000 within the last 30 days."""
    since = now - timedelta(days=CHART_DAYS)
    rows = Ticket.objects.filter(**{f"{field}__gte": since}).order_by(f"-{field}")
    times = list(rows.values_list(F(field) - F("created_at"), flat=True)[:TIMES_TAKEN])
    return median(times) if times else None


def mail_health() -> dict[str, Any]:
    """Tickets whose mail or answers have not gone out: how many, since when, and why.

    Tickets, not mails, for each number opens the list of what it counts.
    """
    pending, failed = (
        count_parts(split_by_mail(Ticket.objects.all(), status), COUNT_LIMIT)
        for status in (EmailStatus.PENDING, EmailStatus.FAILED)
    )
    oldest: list[datetime] = []
    for rows in outboxes():
        first = rows.unsent().aggregate(first=Min("created_at"))["first"]
        oldest += [first] if first else []
    channel = MailChannel.objects.filter(name=channel_name()).first()
    return {
        "pending": pending,
        "failed": failed,
        "oldest": min(oldest, default=None),
        "failing_since": channel.failing_since if channel else None,
        "last_error": channel.last_error if channel else "",
        "missing": find_missing_credentials(),
        "paused": is_sending_paused(),
    }


def busiest_accounts(now: datetime) -> list[dict[str, object]]:
    """Who opened the most tickets in the last 7 days: user (an id), name, plan, tickets."""
    week = opened_since(now - timedelta(days=BUSY_DAYS))
    busiest = week.values("user").annotate(tickets=Count("*")).order_by("-tickets", "user")
    named = busiest.values("user", "tickets", name=F("user__username"), plan=F("user__plan"))
    return [dict(row) for row in named[:ROWS_SHOWN]]

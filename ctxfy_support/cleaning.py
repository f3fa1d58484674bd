"""What nobody needs any more goes, once a day: the steps are settings.CLEANINGS.

A step deletes a little at a time and leaves what others hold at that moment, so it disturbs nobody
and several may run at once; what it leaves, the next day takes.
"""

from collections.abc import Iterator
from typing import Protocol, TypeVar

from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.utils import timezone

from ctxfy_support.personal_data import Counts

BATCH = 500

M = TypeVar("M", bound=models.Model)


class Cleaning(Protocol):
    """A function of settings.CLEANINGS; it yields what it has deleted, as it goes."""

    def __call__(self) -> Iterator[Counts]: ...


def delete_in_batches(name: str, rows: models.QuerySet[M]) -> Iterator[Counts]:
    """Delete rows that others refer to in nothing but what goes with them."""
    found = BATCH
    while found == BATCH:
        with transaction.atomic():
            free = rows.order_by("pk").select_for_update(skip_locked=True)
            keys = list(free.values_list("pk", flat=True)[:BATCH])
            rows.model._default_manager.filter(pk__in=keys).delete()
        found = len(keys)
        yield {name: found}


def clean_sessions() -> Iterator[Counts]:
    """Sessions that have expired."""
    rows = Session.objects.filter(expire_date__lt=timezone.now())
    yield from delete_in_batches("sessions", rows)

"""What a fetcher of mail says of itself: that it lives, when it last looked, what it has in hand.

A fetcher that is killed says nothing more, and the mail that it had in hand may be why.
"""

import os
import socket
import time
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Count, Max, Q
from django.db.models.functions import Now

BEAT_SECONDS = 5.0
SEEN_WITHIN = timedelta(minutes=1)
FETCHED_WITHIN = timedelta(minutes=5)
FORGOTTEN_AFTER = timedelta(days=1)


class FetcherQuerySet(models.QuerySet["Fetcher"]):
    def fetched_lately(self) -> Self:
        return self.filter(fetched_at__gt=Now() - FETCHED_WITHIN)

    def report(self) -> tuple[int, datetime | None, int]:
        """(how many live, the last fetch of all, the most mails that one of the living is stuck at)

        A fetcher lives if it was seen in the last minute and has not said goodbye.
        """
        alive = Q(seen_at__gt=Now() - SEEN_WITHIN)
        found = self.aggregate(
            alive=Count("pk", filter=alive),
            fetched_at=Max("fetched_at"),
            stuck=Max("stuck_mails", filter=alive),
        )
        return found["alive"], found["fetched_at"], found["stuck"] or 0

    def find_mails_in_hand(self, *, of_others_than: str) -> set[str]:
        """What others are at, or were when they died."""
        others = self.exclude(name=of_others_than).exclude(mail_in_hand="")
        return set(others.values_list("mail_in_hand", flat=True))

    def forget_old(self) -> None:
        """Delete those of which nothing was heard for a day; the last fetch stays known."""
        oldest = Now() - FORGOTTEN_AFTER
        silent = Q(seen_at__lt=oldest) | Q(seen_at=None, fetched_at__lt=oldest)
        newest = self.filter(fetched_at__isnull=False).order_by("-fetched_at").values("pk")[:1]
        self.filter(silent).exclude(pk__in=list(newest.values_list("pk", flat=True))).delete()


class Fetcher(models.Model):
    """A run of fetch_replies, by host and process; the times are the database's."""

    name = models.CharField(primary_key=True, max_length=100)
    # None once it has ended.
    seen_at = models.DateTimeField(null=True)
    # When it last heard from the mailbox what there is.
    fetched_at = models.DateTimeField(null=True)
    # The mailbox's UIDVALIDITY and the mail's UID.
    mail_in_hand = models.CharField(max_length=50, blank=True, default="")
    # How many mails it could not take in, and will try again.
    stuck_mails = models.PositiveIntegerField(default=0)

    objects = FetcherQuerySet.as_manager()

    class Meta:
        db_table = "support_fetchers"

    def __str__(self) -> str:
        return f"{self.name}, seen {self.seen_at}"


class Presence:
    """This process's row."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:80]}:{os.getpid()}"
        self._beaten_at = float("-inf")

    def beat(self) -> None:
        """Say that this process lives, at most every five seconds."""
        now = time.monotonic()
        if now - self._beaten_at < BEAT_SECONDS:
            return
        if self._beaten_at == float("-inf"):
            Fetcher.objects.forget_old()
        self._write(seen_at=Now())

    def note(self, *, mail_in_hand: str, stuck_mails: int) -> None:
        """Say that the mailbox answers, and which mail this process now has in hand."""
        now = Now()
        self._write(seen_at=now, fetched_at=now, mail_in_hand=mail_in_hand, stuck_mails=stuck_mails)

    def end(self) -> None:
        """Say that this process fetches no more."""
        self._write(seen_at=None)

    def _write(self, **columns: object) -> None:
        Fetcher.objects.bulk_create(
            [Fetcher(name=self.name, **columns)],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=list(columns),
        )
        self._beaten_at = time.monotonic()

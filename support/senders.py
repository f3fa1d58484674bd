"""Who sends mail, as all processes know it: one row for each worker, renewed while it works.

A worker that dies says nothing more, and that is how it shows.
"""

import os
import socket
import time
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

BEAT_SECONDS = 5.0
SEEN_WITHIN = timedelta(minutes=1)
FORGOTTEN_AFTER = timedelta(days=1)


class SenderQuerySet(models.QuerySet["Sender"]):
    def alive(self) -> Self:
        """Those seen in the last minute, and the time that one attempt may keep them silent."""
        silence = SEEN_WITHIN + timedelta(seconds=settings.SUPPORT_EMAIL_DEADLINE)
        return self.filter(seen_at__gt=Now() - silence)

    def see(self, name: str) -> None:
        """Note that this sender works, in one statement."""
        self.bulk_create(
            [Sender(name=name, seen_at=Now())],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["seen_at"],
        )

    def forget_old(self) -> None:
        """Delete those that have not been seen for a day."""
        self.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()


class Sender(models.Model):
    """A worker, by host and process; the time is the database's."""

    name = models.CharField(primary_key=True, max_length=100)
    seen_at = models.DateTimeField()

    objects = SenderQuerySet.as_manager()

    class Meta:
        db_table = "support_senders"

    def __str__(self) -> str:
        return f"{self.name}, seen {self.seen_at}"


class Heartbeat:
    """This process's row, written at most every five seconds."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:80]}:{os.getpid()}"
        self._beaten_at = float("-inf")

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten_at < BEAT_SECONDS:
            return
        if self._beaten_at == float("-inf"):
            Sender.objects.forget_old()
        Sender.objects.see(self.name)
        self._beaten_at = now

    def end(self) -> None:
        """Say that this process sends no more."""
        Sender.objects.filter(name=self.name).delete()

"""Stops sending while it is useless, in all processes at once, through the channel's row.

A channel that refuses us, or that cannot be reached three times running, is down: every row waits,
and one attempt in thirty seconds, whoever makes it, finds out whether it is back.
"""

import logging
import threading
import time
from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

from support.failures import (
    DEADLINE_CODE,
    NEVER_SENT_CODE,
    SUPPORT_EMAIL_REFUSED,
    Failure,
    FailureKind,
)
from support.mail_channel import MailChannel, channel_name

logger = logging.getLogger(__name__)

PROBE_EVERY = timedelta(seconds=30)
UNREACHABLE_LIMIT = 3
REMEMBER_SECONDS = 1.0
UNREACHABLE_CODES = (DEADLINE_CODE, "connection", "tls")


class Breaker:
    """This process's view of the channel; it asks the database at most once a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unreachable = 0
        self._down = self._must_wake = False
        self._asked_at = float("-inf")

    def is_down(self) -> bool:
        """Whether sending is known to be useless; reads one row, or remembers the last second."""
        return self._look()[0]

    def must_wake(self) -> bool:
        """Whether the channel is back and rows still wait because it was away; as is_down()."""
        down, must_wake = self._look()
        return must_wake and not down

    def _look(self) -> tuple[bool, bool]:
        with self._lock:
            if time.monotonic() - self._asked_at < REMEMBER_SECONDS:
                return self._down, self._must_wake
        row = self._rows().values_list("failing_since", "must_wake").first()
        down, must_wake = (row[0] is not None, row[1]) if row else (False, False)
        self._remember(down=down, must_wake=must_wake)
        return down, must_wake

    def note_awake(self) -> None:
        """Everything that waited because the channel was away is due."""
        self._rows().filter(failing_since=None, must_wake=True).update(must_wake=False)
        self._asked_at = float("-inf")

    def is_probe_due(self) -> bool:
        """Whether take_probe() has a chance; reads one row."""
        return self._probes_due().exists()

    def take_probe(self) -> bool:
        """Claim the one attempt in thirty seconds that a channel which is down gets."""
        return bool(self._probes_due().update(next_probe_at=Now() + PROBE_EVERY))

    def report(self, failure: Failure | None, *, seconds: float, to_support: bool) -> None:
        """Learn from an attempt that took so long.

        `to_support`: it was to SUPPORT_EMAIL, so it says something about that address too.
        """
        if failure is not None and failure.code == NEVER_SENT_CODE:
            return
        if failure is None or failure.kind is FailureKind.MESSAGE:
            self._unreachable = 0
            if self.is_down():
                self._close(timedelta(seconds=seconds), to_support)
        elif failure.kind is FailureKind.CHANNEL:
            self._open(failure)
        elif failure.code in UNREACHABLE_CODES:
            self._unreachable += 1
            if self._unreachable >= UNREACHABLE_LIMIT:
                self._open(failure)
        else:
            self._unreachable = 0

    def _probes_due(self) -> models.QuerySet[MailChannel]:
        return self._rows().filter(failing_since__isnull=False, next_probe_at__lte=Now())

    def _rows(self) -> models.QuerySet[MailChannel]:
        return MailChannel.objects.filter(name=channel_name())

    def _remember(self, *, down: bool, must_wake: bool = False) -> None:
        with self._lock:
            self._down, self._must_wake, self._asked_at = down, must_wake, time.monotonic()

    def _open(self, failure: Failure) -> None:
        state: dict[str, object] = {
            "next_probe_at": Now() + PROBE_EVERY,
            "last_error": str(failure),
        }
        newly = self._rows().filter(failing_since=None).update(failing_since=Now(), **state)
        if not newly:
            _, newly = MailChannel.objects.get_or_create(
                name=channel_name(), defaults={"failing_since": Now(), **state}
            )
        if newly:
            logger.error(
                "MAIL IS DOWN: %s. Every mail waits; one attempt every %d s finds out when it is "
                "back. Nothing is lost.",
                failure,
                PROBE_EVERY.total_seconds(),
            )
        else:
            self._go_on(failure, state)
        self._remember(down=True)

    def _go_on(self, failure: Failure, state: dict[str, object]) -> None:
        """Note one more failure of a channel that is down; say why it is once that is known.

        A server that merely did not answer in time disproves no refusal.
        """
        unexplained = self._rows().exclude(last_error__startswith=f"{FailureKind.CHANNEL} ")
        if failure.kind is FailureKind.CHANNEL and unexplained.update(**state):
            logger.error("MAIL IS DOWN, and now it is known why: %s", failure)
        elif failure.code == DEADLINE_CODE:
            if not unexplained.update(**state):
                self._rows().update(next_probe_at=state["next_probe_at"])
        else:
            self._rows().update(**state)

    def _close(self, duration: timedelta, to_support: bool) -> None:
        # An attempt that began before the refusal does not disprove it, nor does a customer's
        # mailbox disprove what was said of ours.
        disproved = self._rows().filter(failing_since__lt=Now() - duration)
        if not to_support:
            disproved = disproved.exclude(last_error__contains=SUPPORT_EMAIL_REFUSED)
        closed = disproved.update(
            failing_since=None, next_probe_at=None, last_error="", must_wake=True
        )
        if closed:
            logger.warning("Mail is back: what waited goes out now")
        self._asked_at = float("-inf")


breaker = Breaker()

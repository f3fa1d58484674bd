"""Is there any use in sending now? What all processes know about the way the mail goes.

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
        self._down = False
        self._asked_at = float("-inf")

    def is_down(self) -> bool:
        """Whether sending is known to be useless; reads one row, or remembers the last second."""
        with self._lock:
            if time.monotonic() - self._asked_at < REMEMBER_SECONDS:
                return self._down
        down = self._rows().filter(failing_since__isnull=False).exists()
        self._remember(down=down)
        return down

    def is_probe_due(self) -> bool:
        """Whether take_probe() has a chance; reads one row."""
        return self._probes_due().exists()

    def take_probe(self) -> bool:
        """Claim the one attempt in thirty seconds that a channel which is down gets."""
        return bool(self._probes_due().update(next_probe_at=Now() + PROBE_EVERY))

    def report(self, failure: Failure | None, *, seconds: float, to_support: bool) -> bool:
        """Learn from an attempt that took so long; return whether the channel is back by it.

        `to_support`: it was to SUPPORT_EMAIL, so it says something about that address too.
        """
        if failure is not None and failure.code == NEVER_SENT_CODE:
            return False
        if failure is None or failure.kind is FailureKind.MESSAGE:
            self._unreachable = 0
            return self.is_down() and self._close(timedelta(seconds=seconds), to_support)
        if failure.kind is FailureKind.CHANNEL:
            self._open(failure)
        elif failure.code in UNREACHABLE_CODES:
            self._unreachable += 1
            if self._unreachable >= UNREACHABLE_LIMIT:
                self._open(failure)
        else:
            self._unreachable = 0
        return False

    def _probes_due(self) -> models.QuerySet[MailChannel]:
        return self._rows().filter(failing_since__isnull=False, next_probe_at__lte=Now())

    def _rows(self) -> models.QuerySet[MailChannel]:
        return MailChannel.objects.filter(name=channel_name())

    def _remember(self, *, down: bool) -> None:
        with self._lock:
            self._down, self._asked_at = down, time.monotonic()

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

    def _close(self, duration: timedelta, to_support: bool) -> bool:
        # An attempt that began before the refusal does not disprove it, nor does a customer's
        # mailbox disprove what was said of ours.
        disproved = self._rows().filter(failing_since__lt=Now() - duration)
        if not to_support:
            disproved = disproved.exclude(last_error__contains=SUPPORT_EMAIL_REFUSED)
        closed = disproved.update(failing_since=None, next_probe_at=None, last_error="")
        if closed:
            logger.warning("Mail is back: what waited goes out now")
        self._asked_at = float("-inf")
        return bool(closed)


breaker = Breaker()

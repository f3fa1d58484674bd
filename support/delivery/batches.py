"""Many mails for one claim: no more than take a moment, each tried with a whole lease before it.

What is not tried in time, or must not be (the process is to end, the channel is down, the database
does not answer), is given back at once. A process that dies leaves the rest of its batch to the
end of its lease, untried: no copy comes of it.
"""

import contextlib
import time
from collections import deque
from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import TypeAlias

from django.db import Error as DatabaseFailure

from support.delivery import attempts
from support.delivery.breaker import breaker
from support.failures import Failure
from support.mailboxes import is_sending_paused
from support.outbox import OutboxMessage

# What a batch should take. An answer, or a more urgent mail, waits for the batch before it.
AIM_SECONDS = 0.25
LARGEST = 50
# What it may take until its last mail is begun: a claim leases for as much longer.
HOLD = timedelta(seconds=3)
GROWTH = 4


# What was tried and what came of it, one by one; closed early, it gives the rest back.
Tries: TypeAlias = Generator[tuple[OutboxMessage, Failure | None], None, None]


class Pace:
    """How many mails to claim at once, by how fast the last ones went."""

    def __init__(self) -> None:
        self.count = 1

    def note(self, tried: int, seconds: float) -> None:
        """Learn from a batch, of which so many were tried, the claim included."""
        fitting = int(AIM_SECONDS * tried / max(seconds, 0.001))
        self.count = max(1, min(fitting, self.count * GROWTH, LARGEST))


def attempt_each(rows: Sequence[OutboxMessage], taken_at: float, pace: Pace) -> Tries:
    """Try rows that one claim has leased, for HOLD longer than usual; give back what is left.

    `taken_at`: the monotonic time before the claim, so that no lease is over before we think so,
    however long this process was stopped. Once an outcome could not be recorded nothing more is
    tried: the mail would go out, and again when its lease ends.
    """
    waiting, tried = deque(rows), 0
    until = taken_at + HOLD.total_seconds()
    try:
        while waiting and time.monotonic() < until:
            row = waiting.popleft()
            tried += 1
            yield row, attempts.attempt(row)
            if row.lease_token is not None:
                break
    finally:
        pace.note(tried, time.monotonic() - taken_at)
        give_back(waiting)


def give_back(rows: Sequence[OutboxMessage]) -> None:
    """Let others have these at once; where the database does not answer, when their lease ends."""
    if rows:
        with contextlib.suppress(DatabaseFailure):
            type(rows[0]).release_all(rows)


def attempt_due(pace: Pace) -> Tries:
    """Claim what is due and try it; while the channel is down, at most the probe."""
    if is_sending_paused():
        return
    attempts.wake_what_waited()
    if breaker.is_down():
        if tried := attempts.attempt_next():
            yield tried
        return
    taken_at = time.monotonic()
    rows = attempts.claim_due(pace.count, HOLD)
    with contextlib.closing(attempt_each(rows, taken_at, pace)) as tries:
        for tried in tries:
            yield tried
            if breaker.is_down():
                return

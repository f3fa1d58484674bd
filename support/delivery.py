"""From a leased row to its outcome: one attempt, then one statement that records it."""

import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from support import mail
from support.channels import breaker
from support.failures import Failure, FailureKind
from support.models import Reply, Ticket
from support.monitoring import count_attempt
from support.outbox import OutboxQuerySet
from support.transport import pool

logger = logging.getLogger(__name__)


def attempt(row: Any) -> Failure | None:
    """Send a row that the caller holds; None if its mail was accepted. Never raises.

    If the outcome cannot be recorded (the database went away, the lease was lost), the row stays
    as it is and is sent again once its lease is over: a copy with the same Message-ID.
    """
    started_at, started = timezone.now(), time.monotonic()
    failure = None
    try:
        pool.send(row.compose())
    except Exception as exc:
        failure = row.classify(exc)
        if failure.code == "unexpected":
            logger.exception("Sending %s failed in an unexpected way", row.pk)
    count_attempt(failure)
    entry = {
        "at": started_at.isoformat(timespec="milliseconds"),
        "ms": round((time.monotonic() - started) * 1000),
        "outcome": "failed" if failure else "sent",
        "kind": failure.kind if failure else "",
        "code": failure.code if failure else "",
        "text": failure.text if failure else "",
    }
    try:
        marked = row.mark_failure(failure, entry) if failure else row.mark_sent(entry)
        breaker.report(failure)
    except DatabaseError:
        logger.exception("The outcome of sending %s could not be recorded", row.pk)
    else:
        _log(row, failure, marked=marked)
    return failure


def outboxes() -> tuple[OutboxQuerySet, ...]:
    """Every table whose rows are mailed; a reply goes first, for somebody waits for it."""
    return Reply.objects.all(), Ticket.objects.all()


def claim_next(rows: OutboxQuerySet | None = None) -> Any | None:
    """Lease the row (of `rows`, else of any outbox) whose time came first; None if none is due."""
    for queue in outboxes() if rows is None else (rows,):
        if row := queue.due().order_by("next_attempt_at").claim():
            return row
    return None


def attempt_next(rows: OutboxQuerySet | None = None) -> tuple[Any, Failure | None] | None:
    """Claim the row (of `rows`) whose time came first and try it; None if there is none to try.

    While the channel is down, only the caller that gets the probe tries a row.
    """
    down = breaker.is_down()
    row = claim_next(rows)
    if row is None:
        return None
    if down and not breaker.take_probe():
        row.release()
        return None
    return row, attempt(row)


def sends_inline() -> bool:
    """Whether a request should send its own mail: so it is set, and there is hope."""
    if not mail.is_configured() or settings.SUPPORT_EMAIL_DELIVERY != "inline":
        return False
    if not breaker.is_down():
        return True
    if breaker.take_probe():
        threading.Thread(target=_probe, daemon=True).start()
    return False


def _probe() -> None:
    """Find out, at no request's cost, whether the channel is back."""
    try:
        if row := claim_next():
            attempt(row)
    except DatabaseError:
        logger.exception("The channel could not be probed")
    finally:
        connection.close()


def attempt_within(rows: OutboxQuerySet, seconds: float) -> int:
    """Try those of the rows that are due, for about so long; return how many were sent."""
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and (tried := attempt_next(rows)):
        sent += tried[1] is None
    return sent


def _log(row: Any, failure: Failure | None, *, marked: bool) -> None:
    """One line for each attempt."""
    if not marked:
        logger.warning("%s was sent too late to be recorded: its lease was over", row.pk)
    elif failure is None:
        logger.info("Mail %s was accepted", row.pk)
    else:
        level = logging.ERROR if failure.kind is FailureKind.MESSAGE else logging.WARNING
        logger.log(level, "Mail %s was not accepted: %s", row.pk, failure)

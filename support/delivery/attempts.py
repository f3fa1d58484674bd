"""One attempt to send one row, and who makes it: a request, a worker, a probe.

An attempt is three steps: 1. compose the mail of a row that is leased, 2. send it under the
deadline, 3. record the outcome while the lease is still ours. A process that dies in one of them
leaves a leased row, which comes back when its lease ends.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection
from django.utils import timezone

from ctxfy_support.log_context import about
from ctxfy_support.serving.turns import may_lend_turn
from support.answering import record_failure
from support.delivery.breaker import UNREACHABLE_CODES, breaker
from support.delivery.composing import compose
from support.delivery.monitoring import count_attempt
from support.delivery.transport import PATIENCE, pool
from support.failures import Failure, FailureKind
from support.mailboxes import is_mail_configured, is_sending_paused
from support.models import Message, outboxes
from support.outbox import AttemptEntry, OutboxMessage, OutboxQuerySet

logger = logging.getLogger(__name__)

# Threads of this process that send what its requests, too many at once, have left.
BACKGROUND_SENDERS = 4
_background_senders = threading.BoundedSemaphore(BACKGROUND_SENDERS)
_something_waits = threading.Event()

DATABASE_AWAY = Failure(FailureKind.TRANSIENT, "database", "The database did not answer")


def attempt(row: OutboxMessage, patience: timedelta = timedelta(0)) -> Failure | None:
    """Send a row that the caller holds; None if its mail was accepted. Never raises.

    `patience`: what logging in may take beyond the deadline, which the lease must allow for.

    If the outcome cannot be recorded (the database went away, the lease was lost), the row stays
    as it is and is sent again once its lease is over: a copy with the same Message-ID.
    """
    with about(**row.log_facts()):
        failure = _send_and_record(row, patience)
    if failure is not DATABASE_AWAY:
        wake_what_waited()
    return failure


def _send_and_record(row: OutboxMessage, patience: timedelta) -> Failure | None:
    started_at, started = timezone.now(), time.monotonic()
    failure = None
    try:
        pool.send(compose(row), patience)
    except DatabaseFailure:
        # While the mail was written: not an attempt. The row comes back when its lease ends.
        logger.exception("Mail %s could not be read from the database", row.pk)
        return DATABASE_AWAY
    except Exception as exc:
        failure = row.classify(exc)
        if failure.code == "unexpected":
            logger.exception("Sending %s failed in an unexpected way", row.pk)
    took = time.monotonic() - started
    count_attempt(failure)
    try:
        _record(row, failure, started_at, took)
        breaker.report(failure, seconds=took, to_support=row.goes_to_support)
    except DatabaseFailure:
        logger.exception("What became of %s could not be recorded", row.pk)
    return failure


def wake_what_waited() -> None:
    """Once the channel is back, make due what waits out a backoff because it was away.

    That this is to be done stands in the channel's row. So where it fails, or somebody holds a
    row, or this process dies, the next look of any sender does it.
    """
    try:
        if breaker.must_wake():
            errors = [f"{FailureKind.TRANSIENT} {code}:" for code in UNREACHABLE_CODES]
            left = [rows for rows in outboxes() if not rows.wake(errors)]
            if not left:
                breaker.note_awake()
    except DatabaseFailure:
        logger.warning("What waited for the mail could not be made due yet", exc_info=True)


def _record(row: OutboxMessage, failure: Failure | None, started_at: datetime, took: float) -> None:
    """Mark the row while its lease is ours, and log one line."""
    entry: AttemptEntry = {
        "at": started_at.isoformat(timespec="milliseconds"),
        "ms": round(took * 1000),
        "outcome": "failed" if failure else "sent",
        "kind": failure.kind if failure else "",
        "code": failure.code if failure else "",
        "text": failure.text if failure else "",
    }
    if failure is None:
        marked = row.mark_sent(entry)
    elif isinstance(row, Message) and row.is_answer:
        marked = record_failure(row, failure, entry)
    else:
        marked = row.mark_failure(failure, entry)
    if not marked:
        logger.warning("Mail %s: the attempt ended after its lease and is not recorded", row.pk)
    elif failure is None:
        logger.info("Mail %s was accepted", row.pk)
    else:
        level = logging.ERROR if failure.kind is FailureKind.MESSAGE else logging.WARNING
        logger.log(level, "Mail %s was not accepted: %s", row.pk, failure)


def claim_due(
    count: int, extra: timedelta, rows: OutboxQuerySet[OutboxMessage] | None = None
) -> list[OutboxMessage]:
    """Lease up to `count` rows (of `rows`, else of one outbox) whose time came first."""
    for queue in outboxes() if rows is None else (rows,):
        if claimed := queue.due().order_by("next_attempt_at").claim_many(count, extra):
            return claimed
    return []


def attempt_next(
    rows: OutboxQuerySet[OutboxMessage] | None = None, patience: timedelta = PATIENCE
) -> tuple[OutboxMessage, Failure | None] | None:
    """Claim the row (of `rows`) whose time came first and try it; None if there is none to try.

    While the channel is down, only the caller that gets the probe tries a row, and with patience:
    what it finds out, all go by.
    """
    if is_sending_paused():
        return None
    wake_what_waited()
    down = breaker.is_down()
    if down and not breaker.is_probe_due():
        return None
    if not down:
        patience = timedelta(0)
    claimed = claim_due(1, patience, rows)
    if not claimed:
        return None
    [row] = claimed
    if down and not breaker.take_probe():
        row.release()
        return None
    return row, attempt(row, patience)


def sends_inline() -> bool:
    """Whether a request sends its own mail.

    Where delivery is `inline`, the channel is up, and not too many requests of this process wait
    for the provider already.
    """
    return _is_inline() and may_lend_turn() and not breaker.is_down()


def probe_in_background() -> None:
    """See to what a request has stored and does not send, at no request's cost.

    Find out whether a channel that is down is back; where it is up, send what is due.
    """
    if not _is_inline():
        return
    if breaker.is_down():
        if breaker.is_probe_due():
            _start(_probe, "a probe")
        return
    _something_waits.set()
    if _background_senders.acquire(blocking=False):
        _start(_send_what_waits, "what waits", or_else=_background_senders.release)


def _is_inline() -> bool:
    return is_mail_configured() and settings.SUPPORT_EMAIL_DELIVERY == "inline"


def _start(work: Callable[[], object], name: str, or_else: Callable[[], object] = bool) -> None:
    try:
        threading.Thread(target=work, daemon=True).start()
    except RuntimeError:
        or_else()
        logger.exception("No thread for %s", name)


def _probe() -> None:
    try:
        attempt_next()
    except DatabaseFailure:
        logger.exception("The channel could not be probed")
    finally:
        connection.close()


def _send_what_waits() -> None:
    """Send until nothing is due; what comes just before the end is not left behind."""
    is_ours = True
    try:
        while is_ours:
            _something_waits.clear()
            while attempt_next():
                pass
            _background_senders.release()
            is_ours = _something_waits.is_set() and _background_senders.acquire(blocking=False)
    except DatabaseFailure:
        _background_senders.release()
        logger.exception("What waited could not be sent")
    finally:
        connection.close()


def attempt_within(rows: OutboxQuerySet[OutboxMessage], seconds: float) -> int:
    """Try those of the rows that are due, for about so long; return how many were sent."""
    sent, end = 0, time.monotonic() + seconds
    # An agent waits for it: no patience.
    while time.monotonic() < end and (tried := attempt_next(rows, timedelta(0))):
        sent += tried[1] is None
    return sent

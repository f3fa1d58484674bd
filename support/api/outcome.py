"""What became of a mail, where the answer to a request tells it."""

import time

from django.conf import settings

from ctxfy_support.serving.turns import lend_turn
from support.outbox import OutboxMessage

FIRST_ATTEMPT_POLL_SECONDS = 0.05


def await_first_attempt(row: OutboxMessage) -> None:
    """Let a replay that overtook its first request answer with the outcome of its mail."""
    if settings.SUPPORT_EMAIL_DELIVERY != "inline":
        return
    end = time.monotonic() + settings.SUPPORT_EMAIL_DEADLINE
    if row.is_in_first_attempt():
        lend_turn()
    while row.is_in_first_attempt() and time.monotonic() < end:
        time.sleep(FIRST_ATTEMPT_POLL_SECONDS)
        row.refresh_from_db()

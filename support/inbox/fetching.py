"""Takes in what is unseen in the mailbox, oldest first, one mail after the other.

A mail is marked as seen only after the transaction that stored it has committed. Whoever dies in
between leaves it unseen; it is fetched again, and stored once, for receiving.py knows its copies.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass

from django.db import Error as DatabaseFailure
from django.db import connection

from support.delivery.stop_request import StopRequest
from support.fetchers import Fetcher, Presence
from support.inbound_mail import Outcome, Way
from support.inbox.imap import Mailbox, MailboxError, MailError
from support.inbox.receiving import receive_raw

# Mails between two looks at what there is.
ROUND = 100
FIRST_DELAY_SECONDS = 30
LONGEST_DELAY_SECONDS = 3_600

logger = logging.getLogger(__name__)


@dataclass
class Stuck:
    """A mail that could not be taken in; `due_at` is a moment of time.monotonic()."""

    failures: int = 0
    due_at: float = 0

    def postpone(self) -> None:
        delay = min(FIRST_DELAY_SECONDS * 2.0**self.failures, LONGEST_DELAY_SECONDS)
        self.failures += 1
        self.due_at = time.monotonic() + delay


class Intake:
    """What this process has taken in, and what it could not; lives longer than a session.

    A mail that fails is tried again later and later, behind the others, and holds up none: neither
    by an error of ours, nor by a connection that it breaks, nor by a process that dies of it.
    """

    def __init__(self, stop: StopRequest, presence: Presence) -> None:
        self.stop, self.presence = stop, presence
        self.counts: Counter[Outcome] = Counter()
        self.failures = 0
        # By UIDVALIDITY and UID: a UID alone names another mail once the mailbox is made anew.
        self.stuck: dict[str, Stuck] = {}
        # Stored, and perhaps not marked.
        self.stored: set[str] = set()

    def take_in(self, mailbox: Mailbox) -> int:
        """Take in a round of mails; return how many were tried, 0 where nothing is due.

        Raise MailboxError or a database's error where none can be taken in at the moment.
        """
        unseen = {f"{mailbox.uid_validity}:{uid}": uid for uid in mailbox.find_unseen()}
        self._forget_others(unseen)
        self._mark_again(mailbox, [uid for key, uid in unseen.items() if key in self.stored])
        tried = 0
        for key in self._choose(unseen):
            if self.stop.is_made:
                break
            self.presence.note(mail_in_hand=key, stuck_mails=len(self.stuck))
            self._try(mailbox, key, unseen[key])
            tried += 1
        self.presence.note(mail_in_hand="", stuck_mails=len(self.stuck))
        return tried

    def _forget_others(self, unseen: dict[str, int]) -> None:
        """Forget what is no longer in the mailbox, or was seen."""
        self.stuck = {key: stuck for key, stuck in self.stuck.items() if key in unseen}
        self.stored &= unseen.keys()

    def _choose(self, unseen: dict[str, int]) -> list[str]:
        """What is due, oldest first; behind it what failed, or what others have in hand."""
        now = time.monotonic()
        in_hand = Fetcher.objects.find_mails_in_hand(of_others_than=self.presence.name)
        # Ours, where the last session ended with it.
        suspects = in_hand | self.stuck.keys()
        due = [
            key
            for key in unseen
            if key not in self.stored and (key not in self.stuck or self.stuck[key].due_at <= now)
        ]
        return sorted(due, key=lambda key: (key in suspects, unseen[key]))[:ROUND]

    def _mark_again(self, mailbox: Mailbox, uids: list[int]) -> None:
        if uids:
            try:
                mailbox.mark_seen(uids)
            except MailError as exc:
                logger.warning("%d mails are stored and stay unseen: %s", len(uids), exc)

    def _try(self, mailbox: Mailbox, key: str, uid: int) -> None:
        """Take one mail in; note it as stuck where that fails."""
        try:
            raw = mailbox.read(uid)
            if raw is None:
                # Forgotten with the next look, unless the server goes on to name what it hides.
                self.stuck.setdefault(key, Stuck()).postpone()
                return
            outcome = receive_raw(raw, Way.IMAP)
            self.counts[outcome] += 1
            self.stored.add(key)
            logger.info("Mail %s came in: %s", key, outcome)
            mailbox.mark_seen([uid])
        except Exception as exc:
            if key in self.stored:
                logger.warning("Mail %s is stored and stays unseen: %s", key, exc)
            else:
                self._postpone(key, exc)
            if isinstance(exc, MailboxError):
                raise
        else:
            self.stuck.pop(key, None)

    def _postpone(self, key: str, exc: Exception) -> None:
        if isinstance(exc, DatabaseFailure):
            connection.close()
            # Raises where it is the database's trouble and not this mail's.
            self.presence.note(mail_in_hand=key, stuck_mails=len(self.stuck))
        self.failures += 1
        self.stuck.setdefault(key, Stuck()).postpone()
        is_ours = not isinstance(exc, MailboxError | MailError)
        reason = type(exc).__name__ if is_ours else exc
        logger.error(
            "Mail %s could not be taken in, and will be tried again: %s",
            key,
            reason,
            exc_info=exc if is_ours else None,
        )

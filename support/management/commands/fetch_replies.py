"""Take in customers' answers from the IMAP mailbox: once, or for ever (--watch)."""

import contextlib
import logging
import random
import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connection

from ctxfy_support.metrics import counters
from ctxfy_support.waits import limit_statements
from support.delivery.command_arguments import seconds
from support.delivery.stop_request import StopRequest
from support.fetchers import Presence
from support.inbound_mail import Outcome
from support.inbox.fetching import Intake
from support.inbox.imap import Mailbox, MailboxError, MailboxRefusedError
from support.mailboxes import find_missing_imap_settings

logger = logging.getLogger(__name__)

# Four of them, one after the other, must not outlast the ten seconds that SIGTERM may take.
STATEMENT_LIMIT_MS = 2_000
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# A password that is refused again and again locks an account at some providers.
REFUSED_PAUSE_SECONDS = 30.0
LONGEST_REFUSED_PAUSE_SECONDS = 300.0


class Command(BaseCommand):
    help = (
        "Takes in the unseen mails of the IMAP mailbox, each once, and marks them as seen. The "
        "last line is stored=<n> unmatched=<n> ignored=<n>; exit status 0 when all were taken in, "
        "1 when one could not be, 2 when it could not run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--watch", action="store_true", help="for ever: as soon as a mail comes (IDLE)"
        )
        parser.add_argument(
            "--interval",
            type=seconds,
            default=30,
            metavar="SECONDS",
            help="--watch: between looks, where the server has no IDLE; /health wants one in "
            "five minutes",
        )

    def handle(self, *, watch: bool, interval: float, **options: object) -> None:
        if missing := find_missing_imap_settings():
            raise CommandError(
                f"No mailbox is configured: set {' and '.join(missing)} (README, Settings)",
                returncode=2,
            )
        self.stop, self.presence = StopRequest(), Presence()
        self.intake = Intake(self.stop, self.presence)
        try:
            with self.stop.listening():
                if watch:
                    self.watch(interval)
                else:
                    self.fetch()
        except DatabaseFailure as exc:
            self.print_counts()
            raise CommandError(f"The database did not answer: {exc}", returncode=2) from None
        except MailboxError as exc:
            self.print_counts()
            raise CommandError(f"The mailbox: {exc}", returncode=2) from None
        finally:
            with contextlib.suppress(DatabaseFailure):
                self.presence.end()
            with contextlib.suppress(DatabaseFailure):
                counters.flush()
        self.print_counts()
        if not watch and (self.intake.failures or self.stop.is_made):
            raise SystemExit(1)

    def print_counts(self) -> None:
        counts = self.intake.counts
        self.stdout.write(
            f"stored={counts[Outcome.STORED]} unmatched={counts[Outcome.UNMATCHED]} "
            f"ignored={counts[Outcome.IGNORED] + counts[Outcome.DISCARDED]}"
        )

    def fetch(self) -> None:
        """Take in what there is now; each mail that fails is tried once."""
        self.presence.beat()
        with Mailbox(self.stop) as mailbox:
            while self.intake.take_in(mailbox) and not self.stop.is_made:
                close_old_connections()

    def watch(self, interval: float) -> None:
        """Take in what comes until SIGTERM or SIGINT; servers that are away are waited for."""
        logger.info("Watching for mail that comes in")
        limit_statements(STATEMENT_LIMIT_MS)
        counters.start()
        self.troubles = 0
        while not self.stop.is_made:
            try:
                self.presence.beat()
                with Mailbox(self.stop) as mailbox:
                    self.follow(mailbox, interval)
            except DatabaseFailure as exc:
                logger.warning("The database did not answer (%s); trying again", type(exc).__name__)
                connection.close()
                self.pause(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            except MailboxRefusedError as exc:
                if not self.stop.is_made:
                    logger.error("The mailbox is closed to us: %s", exc)  # noqa: TRY400
                    self.pause(REFUSED_PAUSE_SECONDS, LONGEST_REFUSED_PAUSE_SECONDS)
            except MailboxError as exc:
                if not self.stop.is_made:
                    logger.warning("The mailbox is away: %s; trying again", exc)
                    self.pause(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)

    def follow(self, mailbox: Mailbox, interval: float) -> None:
        """Take in what comes for as long as this session lasts."""
        while not self.stop.is_made:
            close_old_connections()
            tried = self.intake.take_in(mailbox)
            self.troubles = 0
            if not tried:
                mailbox.wait(interval, self.presence.beat)

    def pause(self, first: float, longest: float) -> None:
        """Wait twice as long as the last time, and not as long as any other fetcher."""
        delay = min(first * 2.0**self.troubles, longest)
        self.troubles += 1
        end = time.monotonic() + delay * random.uniform(0.5, 1)  # noqa: S311  (no secret)
        while not self.stop.is_made and (left := end - time.monotonic()) > 0:
            self.stop.wait(min(left, 5.0))
            with contextlib.suppress(DatabaseFailure):
                self.presence.beat()

"""Send what has not gone out: by hand, from cron (--due), or for ever as a worker (--watch)."""

import contextlib
import logging
import time
from argparse import ArgumentParser
from collections import Counter, deque
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connection
from django.utils.timesince import timesince
from tqdm import tqdm

from ctxfy_support.metrics import counters
from ctxfy_support.start import log_warnings, log_what_nobody_catches
from ctxfy_support.waits import limit_statements
from support.delivery import batches
from support.delivery.command_arguments import at_least_one, moment, seconds
from support.delivery.stop_request import StopRequest
from support.delivery.transport import pool
from support.failures import Failure, FailureKind
from support.mailboxes import find_missing_credentials, is_mail_configured, is_sending_paused
from support.models import Ticket, outboxes
from support.outbox import EmailStatus, OutboxMessage, OutboxQuerySet
from support.senders import Heartbeat

logger = logging.getLogger(__name__)

# A worker that waits for a hung database for ever hears no SIGTERM; less than a lease's margin.
STATEMENT_LIMIT_MS = 10_000


class Candidate(NamedTuple):
    """A row that this run may take up."""

    created_at: datetime
    pk: UUID
    status: str
    outbox: OutboxQuerySet[OutboxMessage]


class Command(BaseCommand):
    help = (
        "Sends every mail that has not gone out: failed, pending (due or not), and what a killed "
        "process left behind. The last line is sent=<n> pending=<n> failed=<n>; exit status 0 when "
        "all of them went out, 1 otherwise, 2 when it could not run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--due", action="store_true", help="only what is due (for cron)")
        parser.add_argument(
            "--stored",
            action="store_true",
            help="also what was only stored, when no mail backend was configured",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be sent")
        parser.add_argument("--limit", type=at_least_one, metavar="N", help="N mails at most")
        parser.add_argument(
            "--ticket",
            action="append",
            dest="tickets",
            metavar="ID",
            help="this ticket, even one that was only stored, and its messages; may be given "
            "several times",
        )
        parser.add_argument(
            "--since", type=moment, metavar="ISO-8601", help="mails created then or later"
        )
        parser.add_argument(
            "--watch", action="store_true", help="the worker: send what is due, for ever"
        )
        parser.add_argument(
            "--even-if-paused",
            action="store_true",
            help="by hand, although SUPPORT_EMAIL_DELIVERY is paused",
        )
        parser.add_argument(
            "--interval",
            type=seconds,
            default=0.5,
            metavar="SECONDS",
            help="--watch: between looks",
        )

    def handle(self, *, watch: bool, dry_run: bool, interval: float, **options: Any) -> None:
        self.stop, self.is_refused = StopRequest(), False
        self.counts: Counter[str] = Counter()
        if not dry_run and not is_mail_configured():
            log_warnings()
            missing = find_missing_credentials()
            raise CommandError(
                f"No mail backend is configured: set {' and '.join(missing or ['SUPPORT_EMAIL'])}"
                f"{'' if missing else ' and the credentials of SUPPORT_EMAIL_SENDER'} "
                "(README, Settings)",
                returncode=2,
            )
        if is_sending_paused() and not dry_run and not options["even_if_paused"]:
            raise CommandError(
                "Sending is paused (SUPPORT_EMAIL_DELIVERY=paused). --dry-run says what waits; "
                "--even-if-paused sends it all the same, with --ticket or --since only that",
                returncode=2,
            )
        if options["stored"] and (watch or options["due"]):
            raise CommandError("--stored is for a run by hand alone", returncode=2)
        by_hand = ("limit", "tickets", "since", "even_if_paused")
        if watch and (dry_run or any(options[name] for name in by_hand)):
            raise CommandError("--watch goes with --due and --interval alone", returncode=2)
        try:
            with self.stop.listening():
                if options["due"] and not dry_run:
                    # From cron: whoever looks for workers sees that somebody sends.
                    Heartbeat().beat()
                if watch:
                    self.watch(interval)
                elif dry_run:
                    self.print_table(self.select(**options))
                else:
                    self.send(self.select(**options), due=options["due"])
        except DatabaseFailure as exc:
            self.print_counts()
            raise CommandError(f"The database did not answer: {exc}", returncode=2) from None
        finally:
            pool.close()
            with contextlib.suppress(DatabaseFailure):
                counters.flush()
        self.print_counts()
        if not watch and (self.counts[EmailStatus.PENDING] or self.counts[EmailStatus.FAILED]):
            raise SystemExit(1)

    def print_counts(self) -> None:
        names = (EmailStatus.SENT, EmailStatus.PENDING, EmailStatus.FAILED)
        self.stdout.write(" ".join(f"{name.value}={self.counts[name]}" for name in names))

    def select(
        self,
        *,
        due: bool,
        limit: int | None,
        tickets: list[str] | None,
        since: datetime | None,
        stored: bool,
        **options: object,
    ) -> list[Candidate]:
        """The rows to take up, oldest first; raise CommandError for a ticket that is not there."""
        ids = self.find_ids(tickets or [])
        found: list[Candidate] = []
        for rows in outboxes():
            chosen = rows.due() if due else rows.unleased().unsent()
            # What was only stored is mailed where a person asks for it, and only then.
            if not due and (stored or ids):
                only_stored = rows.unleased().for_support()
                chosen |= only_stored.filter(email_status=EmailStatus.STORED)
            if ids:
                chosen = chosen.filter(**{"pk__in" if rows.model is Ticket else "ticket__in": ids})
            if since:
                chosen = chosen.filter(created_at__gte=since)
            columns = chosen.order_by("created_at", "id").values_list(
                "created_at", "pk", "email_status"
            )
            found += [
                Candidate(created_at, pk, status, rows)
                for created_at, pk, status in columns[:limit]
            ]
        return sorted(found, key=lambda row: (row.created_at, row.pk))[:limit]

    def find_ids(self, tickets: list[str]) -> list[UUID]:
        ids = []
        for text in tickets:
            try:
                ids.append(UUID(text))
            except ValueError:
                raise CommandError(f"--ticket: {text!r} is not a ticket id", returncode=2) from None
        known = set(Ticket.objects.filter(pk__in=ids).values_list("pk", flat=True))
        for pk in ids:
            if pk not in known:
                raise CommandError(f"--ticket: there is no ticket {pk}", returncode=2)
        return ids

    def print_table(self, candidates: list[Candidate]) -> None:
        """What a run would take up, and why it has not gone out."""
        line = "{:6}  {:36}  {:>9}  {:8}  {:>8}  {}"
        self.stdout.write(line.format("mail", "id", "age", "status", "attempts", "last error"))
        for candidate in candidates:
            row = candidate.outbox.get(pk=candidate.pk)
            self.count_untried(candidate)
            age = timesince(row.created_at, depth=1).replace("\xa0", " ")
            kind = candidate.outbox.model._meta.model_name
            text = line.format(
                kind, str(row.pk), age, row.email_status, row.attempts, row.last_error
            )
            self.stdout.write(text.rstrip())

    def send(self, candidates: list[Candidate], *, due: bool) -> None:
        """Try each row once, as far as nobody else takes it first; stop at a refused channel."""
        waiting, pace = deque(candidates), batches.Pace()
        on_terminal = self.stderr.isatty()
        with tqdm(total=len(candidates), unit="mail", disable=not on_terminal) as progress:
            while waiting and not self.is_over():
                if not connection.in_atomic_block:  # A caller's transaction, in tests.
                    close_old_connections()
                chosen = [waiting.popleft() for _ in range(min(pace.count, len(waiting)))]
                taken_at = time.monotonic()
                claimed = self.claim(chosen, due=due)
                with contextlib.closing(batches.attempt_each(claimed, taken_at, pace)) as tries:
                    for row, failure in tries:
                        with progress.external_write_mode(file=self.stdout):
                            self.report(row, failure, quietly=on_terminal)
                        claimed.remove(row)
                        if self.is_over():
                            break
                # What there was no time for; everything else was tried, or somebody was faster.
                untried = {row.pk for row in claimed}
                waiting.extendleft(row for row in reversed(chosen) if row.pk in untried)
                progress.update(len(chosen) - len(untried))
        for candidate in waiting:
            self.count_untried(candidate)

    def is_over(self) -> bool:
        """Whether nothing more is to be tried."""
        return self.stop.is_made or self.is_refused

    def report(self, row: OutboxMessage, failure: Failure | None, *, quietly: bool) -> None:
        """Count one attempt and say what came of it; `quietly`: only where it failed."""
        self.counts[row.email_status] += 1
        if failure or not quietly:
            self.stdout.write(f"{row.pk} {failure or 'sent'}")
        if failure and failure.kind is FailureKind.CHANNEL:
            self.is_refused = True
            self.stderr.write(
                f"Stopped: {failure.text} ({failure.code}). Every mail would be refused like this "
                "one; mend the settings (README, Settings) and run this again."
            )

    def claim(self, chosen: list[Candidate], *, due: bool) -> list[OutboxMessage]:
        """Lease those that still are as they were chosen, in their order; others were faster."""
        claimed: dict[UUID, OutboxMessage] = {}
        for queue in outboxes():
            ids = [candidate.pk for candidate in chosen if candidate.outbox.model is queue.model]
            stored = [row.pk for row in chosen if row.status == EmailStatus.STORED]
            if not ids:
                continue
            if stored:
                # Before they are tried: whoever dies in it leaves rows that others will take.
                queue.filter(pk__in=stored, email_status=EmailStatus.STORED).queue_again()
            rows = queue.filter(pk__in=ids)
            rows = rows.due() if due else rows.unsent()
            claimed |= {row.pk: row for row in rows.claim_many(len(ids), batches.HOLD)}
        if not due:
            for row in claimed.values():
                row.retrying_since = None  # Asked for by a person: GIVE_UP_AFTER starts afresh.
        return [claimed[candidate.pk] for candidate in chosen if candidate.pk in claimed]

    def watch(self, interval: float) -> None:
        """Send what is due until SIGTERM or SIGINT; a database that is away is waited for."""
        log_what_nobody_catches()
        heartbeat, pace = Heartbeat(), batches.Pace()
        logger.info("Watching for mail that is due")
        limit_statements(STATEMENT_LIMIT_MS)
        counters.start()
        while not self.stop.is_made:
            try:
                close_old_connections()
                heartbeat.beat()
                tried = self.send_batch(pace)
            except DatabaseFailure as exc:
                logger.warning("The database did not answer (%s); trying again", type(exc).__name__)
                connection.close()
                self.stop.wait(max(interval, 1))
                continue
            if not tried:
                pool.close_stale()
                self.stop.wait(interval)
        with contextlib.suppress(DatabaseFailure):
            heartbeat.end()

    def send_batch(self, pace: batches.Pace) -> bool:
        """Send some of what is due; return whether there was anything to try."""
        tried = False
        with contextlib.closing(batches.attempt_due(pace)) as tries:
            for row, _ in tries:
                tried = True
                self.counts[row.email_status] += 1
                if self.stop.is_made:
                    break
        return tried

    def count_untried(self, candidate: Candidate) -> None:
        """A row that stays as it is; one that was only stored is still to be sent."""
        stored = candidate.status == EmailStatus.STORED
        self.counts[EmailStatus.PENDING if stored else candidate.status] += 1

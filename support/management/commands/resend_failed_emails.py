"""Send what has not gone out: by hand, from cron (--due), or for ever as a worker (--watch)."""

import logging
import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.timesince import timesince
from tqdm import tqdm

from support import delivery, mail
from support.failures import FailureKind
from support.models import Ticket
from support.outbox import EmailStatus
from support.transport import pool

logger = logging.getLogger(__name__)


def moment(text: str) -> datetime:
    """An ISO 8601 time or date, UTC unless it says otherwise."""
    try:
        value = parse_datetime(text) or datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not ISO 8601") from None
    return timezone.make_aware(value) if timezone.is_naive(value) else value


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0.05 <= value <= 3600:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.05 to 3600")
    return value


class Command(BaseCommand):
    help = (
        "Sends every mail that has not gone out: failed, pending (due or not), and what a killed "
        "process left behind. The last line is sent=<n> pending=<n> failed=<n>; exit status 0 when "
        "all of them went out, 1 otherwise, 2 when it could not run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--due", action="store_true", help="only what is due (for cron)")
        parser.add_argument("--dry-run", action="store_true", help="say what would be sent")
        parser.add_argument("--limit", type=at_least_one, metavar="N", help="N mails at most")
        parser.add_argument(
            "--ticket",
            action="append",
            dest="tickets",
            metavar="ID",
            help="this ticket, even one that was only stored; may be given several times",
        )
        parser.add_argument(
            "--since", type=moment, metavar="ISO-8601", help="tickets created then or later"
        )
        parser.add_argument(
            "--watch", action="store_true", help="the worker: send what is due, for ever"
        )
        parser.add_argument(
            "--interval",
            type=seconds,
            default=0.5,
            metavar="SECONDS",
            help="--watch: between looks",
        )

    def handle(self, *, watch: bool, dry_run: bool, interval: float, **options: Any) -> None:
        self.stop = threading.Event()
        self.counts: Counter[str] = Counter()
        if not dry_run and not mail.is_configured():
            raise CommandError(
                "No mail backend is configured: set SUPPORT_EMAIL and the credentials of "
                "SUPPORT_EMAIL_SENDER (README, Settings)",
                returncode=2,
            )
        if watch and (dry_run or any(options[name] for name in ("limit", "tickets", "since"))):
            raise CommandError("--watch goes with --due and --interval alone", returncode=2)
        try:
            if watch:
                with self.finishing_the_mail_in_hand():
                    self.watch(interval)
            elif dry_run:
                self.print_table(self.select(**options))
            else:
                with self.finishing_the_mail_in_hand():
                    self.send(self.select(**options))
        except DatabaseError as exc:
            raise CommandError(f"The database did not answer: {exc}", returncode=2) from None
        finally:
            pool.close()
        sent, pending, failed = (self.counts[name] for name in ("sent", "pending", "failed"))
        self.stdout.write(f"sent={sent} pending={pending} failed={failed}")
        if not watch and (pending or failed):
            raise SystemExit(1)

    def select(
        self,
        *,
        due: bool,
        limit: int | None,
        tickets: list[str] | None,
        since: datetime | None,
        **options: Any,
    ) -> QuerySet[Ticket]:
        """The rows to take up, oldest first; raise CommandError for a ticket that is not there."""
        rows = Ticket.objects.due() if due else Ticket.objects.unleased().unsent()
        if tickets:
            # Asked for by its id, a ticket that was only stored is mailed too.
            stored = Ticket.objects.unleased().filter(email_status=EmailStatus.STORED)
            rows = (rows if due else rows | stored).filter(pk__in=self.find_ids(tickets))
        if since:
            rows = rows.filter(created_at__gte=since)
        return rows.order_by("created_at", "id")[:limit]

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

    def print_table(self, rows: QuerySet[Ticket]) -> None:
        """What a run would take up, and why it has not gone out."""
        line = "{:36}  {:>9}  {:8}  {:>8}  {}"
        self.stdout.write(line.format("ticket", "age", "status", "attempts", "last error"))
        for ticket in rows.iterator():
            self.counts["pending" if ticket.email_status == "stored" else ticket.email_status] += 1
            age = timesince(ticket.created_at, depth=1).replace("\xa0", " ")
            self.stdout.write(
                line.format(
                    str(ticket.pk), age, ticket.email_status, ticket.attempts, ticket.last_error
                ).rstrip()
            )

    def send(self, rows: QuerySet[Ticket]) -> None:
        """Try each row once, as far as nobody else takes it first; stop at a refused channel."""
        waiting = list(rows.values_list("pk", "email_status"))
        on_terminal = self.stderr.isatty()
        with tqdm(total=len(waiting), unit="mail", disable=not on_terminal) as progress:
            for done, (pk, status) in enumerate(waiting):
                if self.stop.is_set():
                    break
                ticket = rows.model.objects.filter(pk=pk, email_status=status).claim()
                progress.update()
                if ticket is None:
                    continue
                ticket.retrying_since = None  # Asked for by a person: the 72 hours start afresh.
                failure = delivery.attempt(ticket)
                self.count(ticket)
                if failure or not on_terminal:
                    progress.write(f"{pk} {failure or 'sent'}", file=self.stdout)
                if failure and failure.kind is FailureKind.CHANNEL:
                    self.counts.update(status for _, status in waiting[done + 1 :])
                    self.stderr.write(
                        f"Stopped: {failure.text} ({failure.code}). Every mail would be refused "
                        "like this one; mend the settings (README, Settings) and run this again."
                    )
                    break

    def watch(self, interval: float) -> None:
        """Send what is due until SIGTERM or SIGINT; a database that is away is waited for."""
        logger.info("Watching for mail that is due")
        while not self.stop.is_set():
            try:
                close_old_connections()
                tried = delivery.attempt_next()
            except DatabaseError as exc:
                logger.warning("The database did not answer (%s); trying again", type(exc).__name__)
                connection.close()
                self.stop.wait(max(interval, 1))
                continue
            if tried:
                self.count(tried[0])
            else:
                self.stop.wait(interval)

    def count(self, ticket: Ticket) -> None:
        self.counts[ticket.email_status] += 1

    @contextmanager
    def finishing_the_mail_in_hand(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the run between two mails, never in one."""
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, lambda *_: self.stop.set()) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

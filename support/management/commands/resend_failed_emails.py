"""Send what has not gone out: by hand, from cron (--due), or for ever as a worker (--watch)."""

import contextlib
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
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.timesince import timesince
from tqdm import tqdm

from ctxfy_support.metrics import counters
from support import delivery, mail
from support.failures import FailureKind
from support.models import Ticket
from support.outbox import EmailStatus, OutboxMessage
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
            help="this ticket, even one that was only stored, and the replies to it; may be given "
            "several times",
        )
        parser.add_argument(
            "--since", type=moment, metavar="ISO-8601", help="mails created then or later"
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
            with contextlib.suppress(DatabaseError):
                counters.flush()
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
    ) -> list[Any]:
        """The rows to take up, oldest first, as (class, primary key, email status).

        Raise CommandError for a ticket that is not there.
        """
        ids = self.find_ids(tickets or [])
        found: list[Any] = []
        for rows in delivery.outboxes():
            chosen = rows.due() if due else rows.unleased().unsent()
            if ids:
                of_ticket = "pk" if rows.model is Ticket else "ticket"
                if rows.model is Ticket and not due:
                    # Asked for by its id, a ticket that was only stored is mailed too.
                    chosen |= rows.unleased().filter(email_status=EmailStatus.STORED)
                chosen = chosen.filter(**{f"{of_ticket}__in": ids})
            if since:
                chosen = chosen.filter(created_at__gte=since)
            chosen = chosen.order_by("created_at", "id")[:limit]
            found += [
                (created_at, pk, status, rows.model)
                for created_at, pk, status in chosen.values_list("created_at", "pk", "email_status")
            ]
        found.sort(key=lambda row: row[:2])
        return [(model, pk, status) for _, pk, status, model in found[:limit]]

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

    def print_table(self, rows: list[Any]) -> None:
        """What a run would take up, and why it has not gone out."""
        line = "{:6}  {:36}  {:>9}  {:8}  {:>8}  {}"
        self.stdout.write(line.format("mail", "id", "age", "status", "attempts", "last error"))
        for model, pk, status in rows:
            row = model.objects.get(pk=pk)
            self.counts["pending" if status == "stored" else status] += 1
            age = timesince(row.created_at, depth=1).replace("\xa0", " ")
            kind = model._meta.model_name
            text = line.format(kind, str(pk), age, row.email_status, row.attempts, row.last_error)
            self.stdout.write(text.rstrip())

    def send(self, rows: list[Any]) -> None:
        """Try each row once, as far as nobody else takes it first; stop at a refused channel."""
        on_terminal = self.stderr.isatty()
        with tqdm(total=len(rows), unit="mail", disable=not on_terminal) as progress:
            for done, (model, pk, status) in enumerate(rows):
                if self.stop.is_set():
                    break
                row = model.objects.filter(pk=pk, email_status=status).claim()
                progress.update()
                if row is None:
                    continue
                row.retrying_since = None  # Asked for by a person: the 72 hours start afresh.
                failure = delivery.attempt(row)
                self.count(row)
                if failure or not on_terminal:
                    progress.write(f"{pk} {failure or 'sent'}", file=self.stdout)
                if failure and failure.kind is FailureKind.CHANNEL:
                    self.counts.update(status for _, _, status in rows[done + 1 :])
                    self.stderr.write(
                        f"Stopped: {failure.text} ({failure.code}). Every mail would be refused "
                        "like this one; mend the settings (README, Settings) and run this again."
                    )
                    break

    def watch(self, interval: float) -> None:
        """Send what is due until SIGTERM or SIGINT; a database that is away is waited for."""
        logger.info("Watching for mail that is due")
        counters.start()
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

    def count(self, row: OutboxMessage) -> None:
        self.counts[row.email_status] += 1

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

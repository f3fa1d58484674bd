"""Delete tickets that have been solved for long: by hand; clean_up does the same every day."""

from argparse import ArgumentParser
from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure
from django.utils import timezone

from support.delivery.command_arguments import at_least_one
from support.models import Ticket
from support.removal import count_all, find_old_tickets, remove_tickets, write_counts


class Command(BaseCommand):
    help = (
        "Deletes tickets that were solved or closed more than DAYS ago, with their messages, "
        "timelines and mails. What nobody has solved stays, and what is still to be mailed. The "
        "last line is deleted=<n> left=<n> unsolved=<n>; exit status 0, or 2 when it could not run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=at_least_one,
            metavar="DAYS",
            help="days since it was solved; TICKET_RETENTION_DAYS, unless given",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be deleted")

    def handle(self, *, older_than: int | None, dry_run: bool, **options: object) -> None:
        days = older_than or settings.TICKET_RETENTION_DAYS
        if not days:
            raise CommandError(
                "Say --older-than DAYS, or set TICKET_RETENTION_DAYS; without them tickets are "
                "kept for ever",
                returncode=2,
            )
        age = timedelta(days=days)
        tickets = find_old_tickets(age)
        deleted: Counter[str] = Counter()
        try:
            if dry_run:
                deleted = count_all(tickets)
            else:
                for counts in remove_tickets(tickets, "solved_at"):
                    deleted += counts
            left = 0 if dry_run else tickets.count()
            unsolved = Ticket.objects.unsolved().filter(created_at__lt=timezone.now() - age).count()
        except DatabaseFailure as exc:
            self.write(deleted, "unknown", "unknown")
            raise CommandError(f"The database did not answer: {exc}", returncode=2) from None
        self.write(deleted, left, unsolved)

    def write(self, deleted: Counter[str], left: int | str, unsolved: int | str) -> None:
        if deleted:
            self.stdout.write(write_counts(deleted))
        self.stdout.write(f"deleted={deleted['tickets']} left={left} unsolved={unsolved}")

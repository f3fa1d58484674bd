"""The end of all that is held about a person."""

import logging
from argparse import ArgumentParser
from collections import Counter

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure
from django.db import connection
from django.utils.module_loading import import_string

from ctxfy_support.personal_data import Erasure, InUseError

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Erases the account USERNAME and everything that is held about that person, for good. "
        "Killed in the middle, it goes on when it is run again. Exit status 0 when nothing is "
        "left, 1 when something was in use (run it again), 2 when it could not run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--dry-run", action="store_true", help="say how many rows of what")

    def handle(self, *, username: str, dry_run: bool, **options: object) -> None:
        user = get_user_model()._default_manager.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account {username!r}", returncode=2)
        if user.is_staff:
            raise CommandError(
                f"{username!r} works in the back-office: what they wrote there is others' history "
                "too. Take away staff status first, if all of it is to be nobody's",
                returncode=2,
            )
        done: Counter[str] = Counter()
        number = user.pk
        try:
            self.erase(user, done, dry_run=dry_run)
        except InUseError as exc:
            self.print_counts(done)
            raise CommandError(f"{exc}. Run this again", returncode=1) from None
        except DatabaseFailure as exc:
            self.print_counts(done)
            raise CommandError(f"The database did not answer: {exc}", returncode=2) from None
        self.print_counts(done)
        if not dry_run:
            logger.info("Account %s was erased", number)

    def erase(self, user: AbstractUser, done: Counter[str], *, dry_run: bool) -> None:
        if connection.vendor == "sqlite" and not dry_run:
            with connection.cursor() as cursor:
                # Otherwise the file holds what was deleted until its pages are used again.
                cursor.execute("PRAGMA secure_delete = ON")
        for path in settings.ERASURES:
            step: Erasure = import_string(path)
            for counts in step(user, dry_run=dry_run):
                done.update(counts)
        if connection.vendor == "sqlite" and not dry_run and not connection.in_atomic_block:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def print_counts(self, done: Counter[str]) -> None:
        """One line for each kind of row."""
        for name, count in done.items():
            if count:
                self.stdout.write(f"{count} {name}")

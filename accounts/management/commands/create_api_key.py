"""Issue an API key from the shell."""

from argparse import ArgumentParser
from datetime import datetime

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import APIKey, TooManyKeysError, User
from ctxfy_support.moments import parse_moment


class Command(BaseCommand):
    help = "Issues an API key and prints it, alone, on standard output. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="", help="what the key is for")
        parser.add_argument(
            "--expires",
            metavar="ISO-8601",
            help="when it stops working, e.g. 2027-01-01T00:00:00Z; never, unless given",
        )

    def handle(self, *, username: str, name: str, expires: str | None, **options: object) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account {username!r}", returncode=2)
        if len(name) > 100:
            raise CommandError("--name must not be longer than 100 characters", returncode=2)
        expiration_date = find_expiration_date(expires)
        try:
            _, secret = APIKey.objects.issue(user, name=name, expiration_date=expiration_date)
        except TooManyKeysError as exc:
            raise CommandError(f"{exc}. Revoke one first", returncode=2) from None
        self.stdout.write(secret)


def find_expiration_date(expires: str | None) -> datetime | None:
    """What `--expires` says, None where it was not given; CommandError for what cannot be."""
    if expires is None:
        return None
    try:
        moment = parse_moment(expires)
    except ValueError as exc:
        raise CommandError(f"--expires: {exc}", returncode=2) from None
    if moment <= timezone.now():
        raise CommandError(f"--expires: {expires} is past", returncode=2)
    return moment

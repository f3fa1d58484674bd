"""Issue an API key from the shell."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.models import APIKey, User


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
        expiration_date = None
        if expires is not None:
            try:
                expiration_date = parse_datetime(expires)
            except ValueError:
                expiration_date = None
            if expiration_date is None:
                raise CommandError(f"--expires: {expires!r} is not ISO 8601", returncode=2)
            if timezone.is_naive(expiration_date):
                expiration_date = timezone.make_aware(expiration_date)
            if expiration_date <= timezone.now():
                raise CommandError(f"--expires: {expires} is past", returncode=2)
        _, secret = APIKey.objects.issue(user, name=name, expiration_date=expiration_date)
        self.stdout.write(secret)

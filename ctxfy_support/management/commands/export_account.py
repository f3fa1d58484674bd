"""Everything that is held about a person, as JSON, for that person."""

import json
import logging
from argparse import ArgumentParser
from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error as DatabaseFailure
from django.utils import timezone
from django.utils.module_loading import import_string

from ctxfy_support.personal_data import Export

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Writes everything that is held about the account USERNAME to standard output, as one JSON "
        "object. Exit status 0 when it is whole, 1 when it broke off (what was written then is no "
        "JSON), 2 when there is no such account."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *, username: str, **options: object) -> None:
        user = get_user_model()._default_manager.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account {username!r}", returncode=2)
        self.stdout.write('{"exported_at": ' + dump(timezone.now()), ending="")
        rows = 0
        try:
            for path in settings.EXPORTS:
                export: Export = import_string(path)
                for name, value in export(user):
                    self.stdout.write(f",\n{dump(name)}: ", ending="")
                    rows += self.write_value(value)
        except DatabaseFailure as exc:
            raise CommandError(f"The export broke off: {exc}", returncode=1) from None
        self.stdout.write("}")
        logger.info("All that is held about account %s was exported: %d rows", user.pk, rows)

    def write_value(self, value: object) -> int:
        """Write a value, or one after the other; return how many."""
        if not isinstance(value, Iterator):
            self.stdout.write(dump(value), ending="")
            return 1
        count = 0
        self.stdout.write("[", ending="")
        for count, item in enumerate(value, 1):
            self.stdout.write(("" if count == 1 else ",") + "\n" + dump(item), ending="")
        self.stdout.write("]", ending="")
        return count


def dump(value: object) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)

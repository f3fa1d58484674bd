"""Once a day: delete what nobody needs any more."""

import logging
from collections import Counter

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseFailure
from django.db import connection
from django.utils.module_loading import import_string

from ctxfy_support.cleaning import Cleaning

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Deletes what nobody needs any more; for cron or a timer, once a day. Several may run at "
        "once. The last line says how many rows of what, as <name>=<n>; exit status 0, or 1 when a "
        "step failed, for which the others do not wait."
    )

    def handle(self, **options: object) -> None:
        done: Counter[str] = Counter()
        failed = False
        for path in settings.CLEANINGS:
            step: Cleaning = import_string(path)
            try:
                for counts in step():
                    done.update(counts)
            except DatabaseFailure as exc:
                failed = True
                self.stderr.write(f"{path}: the database did not answer: {exc}")
                logger.exception("A step of the cleaning failed")
                connection.close()
        self.stdout.write(" ".join(f"{name}={count}" for name, count in done.items()))
        if failed:
            raise SystemExit(1)

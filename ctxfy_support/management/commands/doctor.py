"""`manage.py doctor`: says what is wrong, and what to do about it."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ctxfy_support import VERSION
from ctxfy_support.doctor import sqlite
from ctxfy_support.doctor.examination import examine
from ctxfy_support.doctor.findings import count_wrong, write_json, write_text
from ctxfy_support.waits import limit_statements

STATEMENT_LIMIT_MS = 5_000


class Command(BaseCommand):
    help = (
        "Looks at the settings, the database, the mail and all around them, and says what is wrong "
        "and what to do. It changes nothing and prints no secret. Exit status 0 all is well, 1 "
        "something is wrong, 2 it could not run."
    )
    # Their findings are among those of this command, and stop none of the others.
    requires_system_checks = ()

    def get_version(self) -> str:
        return VERSION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--send", action="store_true", help="also send one test mail to SUPPORT_EMAIL"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *, send: bool, json: bool, **options: Any) -> None:
        checks = settings.DOCTOR_CHECKS | (settings.DOCTOR_SEND_CHECKS if send else {})
        sqlite.never_create()
        limit_statements(STATEMENT_LIMIT_MS)
        findings = examine(checks)
        self.stdout.write(write_json(findings) if json else write_text(findings))
        if count_wrong(findings):
            sys.exit(1)

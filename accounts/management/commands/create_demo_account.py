"""`make run`'s account: somebody to be, with a key that survives an emptied database."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from secrets import token_urlsafe

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.management.utils import get_random_secret_key

from accounts import api_keys
from accounts.models import APIKey, User

USERNAME, AGENT = "ada", "agent"


class Command(BaseCommand):
    help = (
        "Creates the demonstration's account with an API key and its agent of the back-office, as "
        "--secrets has them; makes that file where it is missing. For development alone (DEBUG)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--secrets", type=Path, required=True, metavar="FILE")

    def handle(self, *, secrets: Path, **options: object) -> None:
        if not settings.DEBUG:
            raise CommandError("create_demo_account needs DEBUG=true", returncode=2)
        self.ensure_accounts(self.load_or_create(secrets))

    def load_or_create(self, path: Path) -> dict[str, str]:
        """The demonstration's secrets, made once and readable by their owner alone."""
        if path.is_file():
            demo: dict[str, str] = json.loads(path.read_text())
            return demo
        demo = {
            "secret_key": get_random_secret_key(),
            "api_key": api_keys.generate(),
            "agent_password": token_urlsafe(12),
        }
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(demo, file)
        return demo

    def ensure_accounts(self, demo: dict[str, str]) -> None:
        """An account of the product with the key, and an agent of the back-office."""
        user, _ = User.objects.get_or_create(
            username=USERNAME,
            defaults={"email": "ada@example.com", "plan_id": "pro", "token_balance": 250_000},
        )
        APIKey.objects.get_or_create(
            digest=api_keys.digest(demo["api_key"]),
            defaults={
                "user": user,
                "name": "Demonstration",
                "key_prefix": demo["api_key"][: api_keys.SHOWN_CHARACTERS],
            },
        )
        agent, _ = User.objects.get_or_create(
            username=AGENT,
            defaults={"email": "agent@example.com", "is_staff": True, "is_superuser": True},
        )
        if not agent.check_password(demo["agent_password"]):
            agent.set_password(demo["agent_password"])
            agent.save(update_fields=["password"])

"""Create or update a plan from a script."""

from argparse import ArgumentParser

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import Plan


class Command(BaseCommand):
    help = "Creates the plan SLUG or updates what is given of it; the rest stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--name", help="as people read it; a new plan's defaults to its slug")
        parser.add_argument("--requests-per-minute", type=int, metavar="N")

    def handle(
        self, *, slug: str, name: str | None, requests_per_minute: int | None, **options: object
    ) -> None:
        with transaction.atomic():
            plan = Plan.objects.select_for_update().filter(slug=slug).first()
            created = plan is None
            plan = plan or Plan(slug=slug, name=slug)
            if name is not None:
                plan.name = name
            if requests_per_minute is not None:
                plan.requests_per_minute = requests_per_minute
            try:
                plan.full_clean(validate_unique=False)
            except ValidationError as exc:
                raise CommandError("; ".join(exc.messages), returncode=2) from None
            plan.save()
        verb = "created" if created else "updated"
        self.stdout.write(f"{verb} {plan.slug}: {plan.name}, {plan.requests_per_minute} a minute")

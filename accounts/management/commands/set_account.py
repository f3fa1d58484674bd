"""Create or update an account from a script."""

from argparse import ArgumentParser

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import Plan, User


class Command(BaseCommand):
    help = (
        "Creates the account USERNAME (without a password: it can hold API keys, not log in) or "
        "updates what is given of it; the rest stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--email", metavar="ADDRESS")
        parser.add_argument("--plan", metavar="SLUG")
        parser.add_argument("--token-balance", type=int, metavar="N")

    def handle(
        self,
        *,
        username: str,
        email: str | None,
        plan: str | None,
        token_balance: int | None,
        **options: object,
    ) -> None:
        if plan is not None and not Plan.objects.filter(slug=plan).exists():
            raise CommandError(f"There is no plan {plan!r}; see set_plan", returncode=2)
        changes = {"email": email, "plan_id": plan, "token_balance": token_balance}
        with transaction.atomic():
            user = User.objects.select_for_update().filter(username=username).first()
            created = user is None
            user = user or User(username=username)
            for field, value in changes.items():
                if value is not None:
                    setattr(user, field, value)
            if created:
                user.set_unusable_password()
            try:
                user.full_clean(validate_unique=False)
            except ValidationError as exc:
                raise CommandError("; ".join(exc.messages), returncode=2) from None
            user.save()
        verb = "created" if created else "updated"
        self.stdout.write(
            f"{verb} {user.username}: {user.email or 'no e-mail'}, plan {user.plan_id}, "
            f"{user.token_balance} tokens"
        )

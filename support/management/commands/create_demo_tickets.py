"""Fill a development database with tickets to look at."""

import random
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from support.demonstration import TEXTS, Story, Timeline
from support.inbound_mail import Outcome, Way
from support.models import (
    CannedReply,
    InboundMail,
    Message,
    SavedView,
    Tag,
    Ticket,
    TicketEvent,
)

VIEWS = {
    "Urgent and unassigned": "tab=unassigned&priority=4",
    "Billing, older than 3 days": "tab=open&type=billing&age=over-3-days",
}


class Command(BaseCommand):
    help = (
        "Creates believable tickets with their accounts, agents, answers and notes; the same for "
        "the same seed. For development alone (DEBUG); none of their mails is ever sent."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--count", type=int, default=300, metavar="N")
        parser.add_argument("--seed", type=int, default=1, metavar="N")
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing if there are tickets already"
        )

    def handle(self, *, count: int, seed: int, if_empty: bool, **options: object) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "create_demo_tickets needs DEBUG=true: it makes things up", returncode=2
            )
        if if_empty and Ticket.objects.exists():
            return
        self.dice = random.Random(seed)  # noqa: S311  (a demonstration, not a secret)
        self.now = timezone.now()
        with transaction.atomic():
            accounts, agents = self.create_accounts(), self.create_agents()
            stories = [
                Story(self.dice, self.dice.choice(accounts), agents, self.now) for _ in range(count)
            ]
            stories.sort(key=lambda story: story.created_at)
            tickets = self.create_tickets(stories)
            self.create_timelines(stories, tickets)
            self.create_mails(tickets)
            self.create_desk()
        self.stdout.write(f"created {len(tickets)} tickets")

    def create_accounts(self) -> Sequence[AbstractUser]:
        users = get_user_model()._default_manager
        plans = list(users.model._meta.get_field("plan").related_model._default_manager.all())
        accounts = []
        for first, last, domain in TEXTS["people"]:
            username = f"{first}.{last}".lower().replace(" ", "-")
            account, _ = users.get_or_create(
                username=username,
                defaults={
                    "first_name": first,
                    "last_name": last,
                    "email": f"{username}@{domain}",
                    "plan_id": self.dice.choice(plans).pk,
                    "token_balance": self.dice.randrange(-2_000, 900_000),
                    "password": "!",
                },
            )
            accounts.append(account)
        return accounts

    def create_agents(self) -> Sequence[AbstractUser]:
        """Three colleagues who cannot log in, and whoever is staff already."""
        users = get_user_model()._default_manager
        group = Group.objects.filter(name="Agents").first()
        for first, last in TEXTS["agents"]:
            agent, created = users.get_or_create(
                username=first.lower(),
                defaults={
                    "first_name": first,
                    "last_name": last,
                    "email": f"{first.lower()}@ctxfy.example",
                    "is_staff": True,
                    "password": "!",
                },
            )
            if created and group:
                agent.groups.add(group)
        return list(users.filter(is_staff=True, is_active=True).order_by("username"))

    def create_tickets(self, stories: list[Story]) -> list[Ticket]:
        tags = {name: Tag.objects.get_or_create(name=name)[0] for name in TEXTS["tags"]}
        tickets = [
            Ticket(
                user=story.account,
                created_at=story.created_at,
                updated_at=story.updated_at,
                type=story.type,
                reply_address=story.reply_address,
                message=story.message,
                subscription_plan=story.account.plan_id,
                token_balance=story.account.token_balance + self.dice.choice([0, 0, 1_200, 25_000]),
                api_key_prefix=f"ctxfy_{self.dice.randrange(16**6):06x}",
                api_key_name=self.dice.choice(["production", "CI", "staging", ""]),
                state=story.state,
                priority=story.priority,
                assignee_id=story.agent.pk if story.agent else None,
                first_replied_at=story.replied_at,
                solved_at=story.solved_at,
                **story.mail(),
            )
            for story in stories
        ]
        Ticket.objects.bulk_create(tickets)
        Ticket.tags.through.objects.bulk_create(
            Ticket.tags.through(ticket=ticket, tag=tags[name])
            for ticket, story in zip(tickets, stories, strict=True)
            for name in story.tags
        )
        return tickets

    def create_timelines(self, stories: list[Story], tickets: list[Ticket]) -> None:
        timelines = [
            Timeline(story, ticket) for story, ticket in zip(stories, tickets, strict=True)
        ]
        # One answer came back.
        waiting = [line for line in timelines if line.story.state == "waiting" and line.messages]
        for line in waiting[-1:]:
            line.bounce()
            line.ticket.save(update_fields=["state"])
        Message.objects.bulk_create(row for line in timelines for row in line.messages)
        TicketEvent.objects.bulk_create(row for line in timelines for row in line.events)

    def create_mails(self, tickets: list[Ticket]) -> None:
        """Mail without a ticket, the same however often this runs."""
        addresses = (ticket.reply_address for ticket in reversed(tickets))
        sender = next((text for text in addresses if "@" in text), "somebody@example.com")
        for number, mail in enumerate(TEXTS["mails"]):
            InboundMail.objects.get_or_create(
                digest=sha256(mail["subject"].encode()).hexdigest(),
                defaults=mail
                | {
                    "way": Way.IMAP,
                    "outcome": Outcome.UNMATCHED,
                    "sender": mail["sender"].replace("{address}", sender),
                    "recipient": "support@ctxfy.example",
                    "received_at": self.now - timedelta(hours=5 - number),
                },
            )

    def create_desk(self) -> None:
        for canned in TEXTS["canned"]:
            CannedReply.objects.get_or_create(
                name=canned["name"], defaults={"text": canned["text"]}
            )
        for name, query in VIEWS.items():
            SavedView.objects.get_or_create(name=name, owner=None, defaults={"query": query})

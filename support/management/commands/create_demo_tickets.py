"""Fill a development database with tickets to look at."""

import random
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from support.demonstration import TEXTS, Story
from support.models import CannedReply, Message, SavedView, Tag, Ticket, TicketEvent
from support.outbox import EmailStatus
from support.timeline import EventKind, make_event

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
                updated_at=story.solved_at or story.replied_at or story.created_at,
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
        replies, events = [], []
        for story, ticket in zip(stories, tickets, strict=True):
            agent, at = story.agent, story.created_at + timedelta(minutes=2)
            if agent is None:
                continue
            events.append(make_event(ticket.pk, agent, EventKind.CLAIM, "nobody", agent, at=at))
            events.append(make_event(ticket.pk, agent, EventKind.STATE, "new", "open", at=at))
            if story.note:
                events.append(make_event(ticket.pk, agent, EventKind.NOTE, text=story.note, at=at))
            if story.replied_at:
                reply = Message(
                    ticket=ticket,
                    author_id=agent.pk,
                    to=ticket.reply_address,
                    text=f"Hello {story.account.first_name},\n\n{story.answer}\n\n{agent}",
                    created_at=story.replied_at,
                    sent_at=story.replied_at,
                    email_status=EmailStatus.SENT,
                    attempts=1,
                )
                replies.append(reply)
                events.append(
                    make_event(
                        ticket.pk,
                        agent,
                        EventKind.REPLY,
                        after=reply.to,
                        message_id=reply.pk,
                        at=story.replied_at,
                    )
                )
            if story.state != "open":
                moved = story.solved_at or story.replied_at or at
                events.append(
                    make_event(ticket.pk, agent, EventKind.STATE, "open", story.state, at=moved)
                )
        Message.objects.bulk_create(replies)
        TicketEvent.objects.bulk_create(events)

    def create_desk(self) -> None:
        for canned in TEXTS["canned"]:
            CannedReply.objects.get_or_create(
                name=canned["name"], defaults={"text": canned["text"]}
            )
        for name, query in VIEWS.items():
            SavedView.objects.get_or_create(name=name, owner=None, defaults={"query": query})

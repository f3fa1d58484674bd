"""Believable tickets to look at, the same for the same seed; nothing here is ever mailed."""

import random
import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractUser

from support.messages import Via
from support.models import Message, Ticket, TicketEvent
from support.outbox import EmailStatus
from support.timeline import EventKind, make_event

TEXTS = tomllib.loads((Path(__file__).parent / "demonstration.toml").read_text(encoding="utf-8"))
TEMPORARY = {
    "ms": 120,
    "outcome": "failed",
    "kind": "transient",
    "code": "451",
    "text": "The mail server asked to try again later",
}
REFUSED = {
    "ms": 210,
    "outcome": "failed",
    "kind": "message",
    "code": "554",
    "text": "The mail server refused this mail",
}
NO_SUCH_USER = "550 5.1.1 The mailbox does not exist"
ACCEPTED = {"outcome": "sent", "kind": "", "code": "", "text": ""}


class Story:
    """One made-up ticket: its columns, and what agents did to it."""

    def __init__(
        self, dice: random.Random, account: Any, agents: Sequence[AbstractUser], now: datetime
    ) -> None:
        self.dice, self.account, self.now = dice, account, now
        # More of them are recent, so that every age has some.
        self.created_at = now - timedelta(days=45) * dice.random() ** 1.7 - timedelta(minutes=3)
        story = dice.choice(TEXTS["stories"])
        self.type = story["type"]
        self.message = f"{story['subject']}\n\n{story['text']}".replace(
            "{n}", str(dice.randrange(100, 250))
        ).replace("{colleague}", "kim@" + account.email.split("@")[1])
        self.agent = dice.choice(agents) if dice.random() < self.attention else None
        self.state = self._choose_state()
        self.priority = dice.choices([1, 2, 3, 4], [1, 10, 3, 1])[0]
        self.tags = dice.sample(TEXTS["tags"], dice.choices([0, 1, 2], [5, 4, 1])[0])
        self.reply_address = self._choose_address()
        answered = self.state != "open" or dice.random() < 0.5
        can_be_mailed = "@" in self.reply_address
        self.replied_at = (
            self._later(hours=9) if answered and can_be_mailed and self.agent else None
        )
        self.solved_at = None
        if self.state in ("solved", "closed"):
            self.solved_at = min(now, (self.replied_at or self.created_at) + self._span(hours=40))
        self.note = dice.choice(TEXTS["notes"]) if self.agent and dice.random() < 0.3 else ""
        self.answer = dice.choice(TEXTS["answers"])
        self.follow_up = self._choose_follow_up()

    @property
    def attention(self) -> float:
        """How likely it is that somebody has it by now."""
        age: timedelta = self.now - self.created_at
        return min(0.97, 0.3 + age / timedelta(days=4))

    @property
    def updated_at(self) -> datetime:
        written_at = self.follow_up.created_at if self.follow_up else None
        return self.solved_at or written_at or self.replied_at or self.created_at

    def mail(self) -> dict[str, object]:
        """What became of its mail; never `pending`, which a worker would send."""
        first = self.created_at.isoformat(timespec="milliseconds")
        fate = self.dice.random()
        if fate < 0.04:
            return {
                "email_status": "failed",
                "attempts": 1,
                "attempt_log": [{"at": first, **REFUSED}],
                "last_error": f"message 554: {REFUSED['text']}",
            }
        log = [{"at": first, **TEMPORARY}] if fate < 0.12 else []
        sent_at = self.created_at + timedelta(seconds=1 + 40 * len(log))
        sent = {
            "at": sent_at.isoformat(timespec="milliseconds"),
            "ms": self.dice.randrange(90, 600),
            **ACCEPTED,
        }
        return {
            "email_status": "sent",
            "attempts": len(log) + 1,
            "attempt_log": [*log, sent],
            "sent_at": sent_at,
        }

    def _choose_state(self) -> str:
        if self.agent is None:
            return "new"
        days = (self.now - self.created_at) / timedelta(days=1)
        weights = [6, 3, 2, 0] if days < 2 else [2, 3, 8, 2] if days < 8 else [0.2, 0.5, 6, 10]
        return self.dice.choices(["open", "waiting", "solved", "closed"], weights)[0]

    def _choose_address(self) -> str:
        own: str = self.account.email
        other = f"team@{own.split('@')[1]}"
        return self.dice.choices([own, other, "12 Harbour Street, Cork"], [16, 4, 1])[0]

    def _choose_follow_up(self) -> Message | None:
        """What the customer wrote after the answer, if anything."""
        if self.replied_at is None or self.state == "waiting":
            return None
        is_done = self.solved_at is not None
        if is_done and self.dice.random() < 0.4:
            return None
        end = self.solved_at or self.now
        message = Message(
            via=Via.API,
            text=self.dice.choice(TEXTS["thanks" if is_done else "follow_ups"]),
            created_at=self.replied_at + (end - self.replied_at) * (0.1 + 0.8 * self.dice.random()),
        )
        if self.dice.random() < 0.5:
            private = f"{self.account.username.replace('.', '')}@freemail.example"
            picture = {"name": "screenshot.png", "type": "image/png", "size": 182_400}
            message.via = Via.MAIL
            message.sender = self.dice.choices([self.reply_address, private], [4, 1])[0]
            message.quoted = f"On {self.replied_at:%-d %b %Y} you wrote:\n> {self.answer}"
            message.attachments = self.dice.choice([[], [], [picture]])
        return message

    def _span(self, hours: float) -> timedelta:
        return timedelta(hours=0.2) + timedelta(hours=hours) * self.dice.random() ** 2

    def _later(self, hours: float) -> datetime:
        later: datetime = self.created_at + self._span(hours)
        return min(self.now, later)


class Timeline:
    """What happened to a story's ticket: rows to be stored, oldest first."""

    def __init__(self, story: Story, ticket: Ticket) -> None:
        self.story, self.ticket = story, ticket
        self.messages: list[Message] = []
        self.events: list[TicketEvent] = []
        if story.agent is not None:
            self._tell(story.agent)

    def _tell(self, agent: AbstractUser) -> None:
        story, at = self.story, self.story.created_at + timedelta(minutes=2)
        self._add(agent, EventKind.CLAIM, at, "nobody", agent)
        self._add(agent, EventKind.STATE, at, "new", "open")
        if story.note:
            self._add(agent, EventKind.NOTE, at, text=story.note)
        state = "open"
        if story.replied_at:
            self._answer(agent, story.replied_at)
            state = "waiting"
        if story.follow_up:
            self._hear(story.follow_up)
            state = "open"
        if story.state != state:
            moved = story.solved_at or story.replied_at or at
            self._add(agent, EventKind.STATE, moved, state, story.state)

    def _answer(self, agent: AbstractUser, at: datetime) -> None:
        name = self.story.account.first_name
        text = f"Hello {name},\n\n{self.story.answer}\n\n{agent}"
        to = self.ticket.reply_address
        answer = Message(author_id=agent.pk, to=to, text=text, created_at=at)
        self._write(answer)
        self._add(agent, EventKind.REPLY, at, after=to, message=answer)
        self._add(agent, EventKind.STATE, at, "open", "waiting")

    def _hear(self, message: Message) -> None:
        self._write(message)
        actor = self.story.account if message.via == Via.API else None
        at = message.created_at
        self._add(actor, EventKind.MESSAGE, at, message=message)
        self._add(actor, EventKind.STATE, at, "waiting", "open", message=message)

    def _write(self, message: Message) -> None:
        message.ticket = self.ticket
        message.email_status = EmailStatus.SENT
        message.sent_at = message.created_at
        message.attempts = 1
        self.messages.append(message)

    def bounce(self) -> None:
        """The answer comes back, which opens the ticket again."""
        (answer,) = self.messages
        answer.email_status = EmailStatus.FAILED
        answer.last_error = f"Bounced: {NO_SUCH_USER}"
        at = answer.created_at + timedelta(minutes=3)
        kind = EventKind.BOUNCE
        self._add(None, kind, at, "waiting", "open", text=NO_SUCH_USER, message=answer)
        self.ticket.state = "open"

    def _add(
        self,
        actor: AbstractUser | None,
        kind: EventKind,
        at: datetime,
        before: object = "",
        after: object = "",
        *,
        text: str = "",
        message: Message | None = None,
    ) -> None:
        message_id = message.pk if message else None
        self.events.append(
            make_event(
                self.ticket.pk, actor, kind, before, after, text=text, message_id=message_id, at=at
            )
        )

"""Believable tickets to look at, the same for the same seed; nothing here is ever mailed."""

import random
import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractUser

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
        answered = self.state in ("waiting", "solved", "closed") and "@" in self.reply_address
        self.replied_at = self._later(hours=9) if answered and self.agent else None
        self.solved_at = None
        if self.state in ("solved", "closed"):
            self.solved_at = min(now, (self.replied_at or self.created_at) + self._span(hours=40))
        self.note = dice.choice(TEXTS["notes"]) if self.agent and dice.random() < 0.3 else ""
        self.answer = dice.choice(TEXTS["answers"])

    @property
    def attention(self) -> float:
        """How likely it is that somebody has it by now."""
        age: timedelta = self.now - self.created_at
        return min(0.97, 0.3 + age / timedelta(days=4))

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

    def _span(self, hours: float) -> timedelta:
        return timedelta(hours=0.2) + timedelta(hours=hours) * self.dice.random() ** 2

    def _later(self, hours: float) -> datetime:
        later: datetime = self.created_at + self._span(hours)
        return min(self.now, later)

"""Answers that agents give often. answering.py fills them in for a ticket."""

from django.db import models

from support.messages import LONGEST_MESSAGE

# What a canned reply may say in double braces.
PLACEHOLDERS = {
    "account": "the account's name",
    "agent": "your name",
    "ticket": "the ticket's id",
    "type": "the ticket's type",
    "plan": "the plan at that moment",
    "received": "the day the ticket came",
}


class CannedReply(models.Model):
    """An answer that is given often; placeholders in double braces are filled in."""

    name = models.CharField(max_length=80, unique=True)
    text = models.TextField(
        max_length=LONGEST_MESSAGE,
        help_text="Filled in for the ticket: "
        + ", ".join(f"{{{{ {name} }}}} ({what})" for name, what in PLACEHOLDERS.items()),
    )

    class Meta:
        db_table = "support_canned_replies"
        verbose_name_plural = "canned replies"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

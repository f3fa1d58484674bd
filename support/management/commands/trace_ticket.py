"""`manage.py trace_ticket ID`: what happened to a ticket, from the database alone."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure

from support.ticket_trace import Trace, find_trace


class Command(BaseCommand):
    help = (
        "Tells a ticket's whole way: the request, the attempts to mail it, messages, mails that "
        "came in, what agents did. It shows nobody's words. Exit status 0, or 2 where there is no "
        "such ticket."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ticket", metavar="ID", help="the ticket's id")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *, ticket: str, json: bool, **options: Any) -> None:
        try:
            ticket_id = UUID(ticket)
        except ValueError:
            raise CommandError(f"{ticket!r} is not a ticket id", returncode=2) from None
        try:
            trace = find_trace(ticket_id)
        except DatabaseFailure as exc:
            raise CommandError(f"The database did not answer: {exc}", returncode=2) from None
        if trace is None:
            raise CommandError(f"There is no ticket {ticket_id}", returncode=2)
        if json:
            self.print_json(trace)
        else:
            self.print_text(trace)

    def print_json(self, trace: Trace) -> None:
        steps = [step.as_json() for step in trace.steps]
        self.stdout.write(json.dumps(asdict(trace) | {"steps": steps}, indent=2))

    def print_text(self, trace: Trace) -> None:
        for step in trace.steps:
            moment = step.at.isoformat(" ", "milliseconds").replace("+00:00", "Z")
            self.stdout.write(f"{moment}  {step.kind:12}  {make_printable(step.what)}")
        stands = ", ".join(f"{name} {value}" for name, value in trace.ticket.items() if value)
        self.stdout.write(f"{'now':25}{'ticket':12}  {make_printable(stands)}")


def make_printable(text: str) -> str:
    """The text as one line that moves no terminal's cursor: a mail's sender may hold anything."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )

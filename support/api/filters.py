"""What GET /v1/support/tickets can be asked for, beside pages."""

import re

from ctxfy_support.answers import Part
from ctxfy_support.query_parameters import (
    Parameter,
    describe_choices,
    make_choice_reader,
    read_moment,
)
from support.outbox import EmailStatus
from support.triage import TicketState

LONGEST_TYPES = 1_000
_CONTROL = r"\x00-\x1f\x7f"
# A type is free text: what means something here stands behind a backslash.
_LETTER = rf"(?:[^\\,{_CONTROL}]|\\[\\,])"
_TYPES = re.compile(rf"{_LETTER}+(?:,{_LETTER}+)*")
_SPACE_AROUND = rf"[^\S{_CONTROL}]*"
_TYPE = rf"{_SPACE_AROUND}(?:[^\s\\,{_CONTROL}]|\\[\\,]){_LETTER}*"
_TIME: Part = {"type": "string", "format": "date-time"}


def read_types(text: str) -> list[str]:
    r"""Types separated by commas, spaces around them dropped; `\,` and `\\` are letters of one."""
    types = []
    if len(text) <= LONGEST_TYPES and _TYPES.fullmatch(text):
        parts = re.findall(rf"{_LETTER}+", text)
        types = [re.sub(r"\\(.)", r"\1", part.strip()) for part in parts]
    if not types or not all(types):
        raise ValueError(
            r"Must be one or more types, separated by commas; write \, and \\ for a comma and a "
            "backslash within one"
        )
    return types


TICKET_FILTERS = (
    Parameter(
        "state",
        "Only tickets in this state, or in one of these, separated by commas.",
        describe_choices(TicketState.values),
        make_choice_reader(TicketState.values),
        "state__in",
        {"Open": {"value": "new,open"}},
    ),
    Parameter(
        "status",
        "Only tickets whose mail has this status, or one of these, separated by commas.",
        describe_choices(EmailStatus.values),
        make_choice_reader(EmailStatus.values),
        "email_status__in",
        {"NotMailed": {"value": "pending,failed"}},
    ),
    Parameter(
        "type",
        r"Only tickets of this type, or of one of these, separated by commas. Write `\,` for a "
        r"comma within a type and `\\` for a backslash. Letter case counts.",
        {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_TYPES,
            "pattern": f"^{_TYPE}(?:,{_TYPE})*$",
        },
        read_types,
        "type__in",
        {"Two": {"value": "billing,technical"}},
    ),
    Parameter(
        "created_after",
        "Only tickets that were created later than this time.",
        _TIME,
        read_moment,
        "created_at__gt",
        {"ATime": {"value": "2026-11-01T00:00:00Z"}},
    ),
    Parameter(
        "created_before",
        "Only tickets that were created earlier than this time.",
        _TIME,
        read_moment,
        "created_at__lt",
        {"ATime": {"value": "2026-12-01T00:00:00Z"}},
    ),
    Parameter(
        "updated_after",
        "Only tickets of which anything has changed later than this time. Every change moves a "
        "ticket into this list and none moves it out, so nothing is lost between two looks: next "
        "time ask for the time at which this walk began, less a minute.",
        _TIME,
        read_moment,
        "updated_at__gt",
        {"ATime": {"value": "2026-11-23T09:59:00Z"}},
    ),
)

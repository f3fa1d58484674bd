"""What the resend command's arguments may be; each raises ArgumentTypeError for anything else."""

import re
from argparse import ArgumentTypeError
from datetime import datetime

from ctxfy_support.moments import parse_moment


def moment(text: str) -> datetime:
    """An ISO 8601 time or date, UTC unless it says otherwise."""
    try:
        return parse_moment(text)
    except ValueError as exc:
        raise ArgumentTypeError(str(exc)) from None


def at_least_one(text: str) -> int:
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text, re.ASCII):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0.05 <= value <= 3600:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.05 to 3600")
    return value

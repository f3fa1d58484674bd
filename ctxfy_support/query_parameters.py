"""What may stand behind the `?` of an address that is read: known names, once each, well-formed.

A parameter that nobody knows is refused, for the answer would not be about what was asked for: a
misspelt filter would list everything.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from ctxfy_support.answers import Part
from ctxfy_support.moments import parse_rfc_3339

LONGEST_NAME_TOLD = 100


@dataclass(frozen=True)
class Parameter:
    """One parameter: how the document describes it and how its text is read.

    `read` raises ValueError, in words for whoever sent it. Where the parameter filters rows,
    `lookup` is what Django's filter() takes its value by.
    """

    name: str
    description: str
    schema: Part
    read: Callable[[str], object]
    lookup: str = ""
    examples: Part = field(default_factory=dict)

    def describe(self) -> Part:
        """The parameter as the OpenAPI document has it."""
        part: Part = {"in": "query", "name": self.name, "schema": self.schema}
        part["description"] = self.description
        return part | ({"examples": self.examples} if self.examples else {})


def read_query(request: Request, parameters: Sequence[Parameter] = ()) -> dict[str, object]:
    """What the request asks for, by name; raise ValidationError (400) that names all that is wrong.

    A request without a `?` costs nothing here.
    """
    if not request._request.META.get("QUERY_STRING"):  # noqa: SLF001  (Django's own request)
        return {}
    asked: dict[str, object] = {}
    errors: dict[str, list[str]] = {}
    sent = dict(request.query_params.lists())
    for parameter in parameters:
        texts = sent.pop(parameter.name, [])
        if len(texts) > 1:
            errors[parameter.name] = ["Must be given once"]
            continue
        for text in texts:
            try:
                asked[parameter.name] = parameter.read(text)
            except ValueError as exc:
                errors[parameter.name] = [str(exc)]
    for name in sent:
        errors[name[:LONGEST_NAME_TOLD]] = ["There is no such parameter here"]
    if errors:
        raise ValidationError(errors)
    return asked


def make_number_reader(maximum: int) -> Callable[[str], int]:
    """Reads whole numbers from 1 to this one, in ASCII digits."""

    def read(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,10}", text) and 1 <= int(text) <= maximum:
            return int(text)
        raise ValueError(f"Must be a whole number from 1 to {maximum}")

    return read


def read_moment(text: str) -> datetime:
    """A time in RFC 3339; a `+` that was not encoded has become a space on its way."""
    try:
        return parse_rfc_3339(re.sub(r" ([0-9]{2}:[0-9]{2})$", r"+\1", text))
    except ValueError:
        raise ValueError("Must be a time in RFC 3339, such as 2026-11-23T10:00:00Z") from None


def make_choice_reader(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads one or more of these words, separated by commas."""

    def read(text: str) -> list[str]:
        words = text.split(",")
        if not set(words) <= set(choices):
            raise ValueError(f"Must be one or more of {', '.join(choices)}, separated by commas")
        return words

    return read


def describe_choices(choices: Sequence[str]) -> Part:
    """The schema of what make_choice_reader() reads.

    Not an array: what a client makes of one differs, and many repeat the parameter.
    """
    word = "|".join(choices)
    return {"type": "string", "pattern": f"^({word})(,({word}))*$"}

"""Serializer fields that take JSON strings alone: no number, no boolean, no null."""

import re
from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

# C0, DEL and C1 controls, and lone surrogates, which no UTF-8 text can hold.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
CONTROLS_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LETTERS = (ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator)


class TextField(serializers.CharField):
    """A JSON string without control characters: one line, trimmed.

    `multiline=True` keeps the text as written, with its tabs and line breaks. White space alone is
    as good as nothing in either.
    """

    default_error_messages = {
        "required": "This field is required",
        "not_a_string": "Must be a string",
        "null": "Must be a string",
        "blank": "Must not be empty",
        "control_characters": "Must not contain control characters",
        "max_length": "Must not be longer than {max_length} characters",
    }

    def __init__(self, *, multiline: bool = False, **kwargs: Any) -> None:
        self.forbidden = CONTROLS_BUT_LAYOUT if multiline else _CONTROLS
        super().__init__(trim_whitespace=not multiline, **kwargs)
        # What DRF looks for letter by letter, NUL and lone surrogates, is among the forbidden.
        self.validators = [each for each in self.validators if not isinstance(each, _LETTERS)]

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            self.fail("not_a_string")
        text = super().to_internal_value(data)
        if not (self.allow_blank or text.strip()):
            self.fail("blank")
        if self.forbidden.search(text):
            self.fail("control_characters")
        return text

"""What a caller knows of a failure, strictly: the ids of the requests, and names with values."""

import json
import re
import sys

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ctxfy_support.answers import Part
from ctxfy_support.fields import CONTROLS_BUT_LAYOUT
from ctxfy_support.openapi import make_text_pattern

MOST_REQUEST_IDS = 20
LONGEST_REQUEST_ID = 128
MOST_ENTRIES = 50
LONGEST_NAME = 64
LONGEST_VALUE = 1_000
MOST_BYTES = 16 * 1024
_REQUEST_ID = r"[!-~]+"
_NAME = r"[A-Za-z0-9_.-]+"


@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_REQUEST_IDS,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_REQUEST_ID,
            "pattern": f"^{_REQUEST_ID}$",
        },
    }
)
class RequestIdsField(serializers.Field[list[str], object, list[str], object]):
    default_error_messages = {
        "null": "Must be a list of strings",
        "not_a_list": "Must be a list of strings",
        "length": f"Must have 1 to {MOST_REQUEST_IDS} entries",
        "entry": f"Each entry must be a string of 1 to {LONGEST_REQUEST_ID} printable ASCII "
        "characters without spaces",
    }

    def to_internal_value(self, data: object) -> list[str]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        if not 1 <= len(data) <= MOST_REQUEST_IDS:
            self.fail("length")
        for entry in data:
            if not (
                isinstance(entry, str)
                and len(entry) <= LONGEST_REQUEST_ID
                and re.fullmatch(_REQUEST_ID, entry)
            ):
                self.fail("entry")
        return data


_VALUE = {"type": ["string", "number", "boolean", "null"]}


def _make_schema(value: Part) -> Part:
    """Names with values, so that a generated client takes a plain map of them.

    As `additionalProperties` many would make a class of a value, in Go with 32 bits for a number.
    """
    return {"type": "object", "patternProperties": {f"^{_NAME}$": value}}


@extend_schema_field(_make_schema(_VALUE))
class ShownContextField(serializers.JSONField):
    """A ticket's context as it is kept."""


@extend_schema_field(
    {
        "maxProperties": MOST_ENTRIES,
        "propertyNames": {"maxLength": LONGEST_NAME, "pattern": f"^{_NAME}$"},
        **_make_schema(
            {
                **_VALUE,
                "maxLength": LONGEST_VALUE,
                "pattern": make_text_pattern(blank=True),
                "minimum": -sys.float_info.max,
                "maximum": sys.float_info.max,
            }
        ),
    }
)
class ContextField(serializers.Field[dict[str, object], object, dict[str, object], object]):
    default_error_messages = {
        "null": "Must be an object",
        "not_an_object": "Must be an object",
        "length": f"Must not have more than {MOST_ENTRIES} entries",
        "name": f"Each name must have 1 to {LONGEST_NAME} characters of A-Z, a-z, 0-9, "
        "underscore, dot and hyphen",
        "value": "{name}: must be a string, a number, a boolean or null",
        "max_length": f"{{name}}: must not be longer than {LONGEST_VALUE} characters",
        "control_characters": "{name}: must not contain control characters",
        "number": "{name}: must be a number that a double can hold",
        "bytes": f"Must not be larger than {MOST_BYTES // 1024} KiB as JSON",
    }

    def to_internal_value(self, data: object) -> dict[str, object]:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        if len(data) > MOST_ENTRIES:
            self.fail("length")
        for name, value in data.items():
            if len(name) > LONGEST_NAME or not re.fullmatch(_NAME, name):
                self.fail("name")
            self._check(name, value)
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) > MOST_BYTES:
            self.fail("bytes")
        return data

    def _check(self, name: str, value: object) -> None:
        if isinstance(value, str):
            if len(value) > LONGEST_VALUE:
                self.fail("max_length", name=name)
            if CONTROLS_BUT_LAYOUT.search(value):
                self.fail("control_characters", name=name)
        elif isinstance(value, int | float):
            try:
                is_double = abs(float(value)) < float("inf")
            except OverflowError:
                is_double = False
            if not is_double:
                self.fail("number", name=name)
        elif value is not None:
            self.fail("value", name=name)

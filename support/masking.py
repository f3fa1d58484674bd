"""Masks secrets that somebody has pasted, before anything is stored, logged or mailed.

Masking a masked text changes nothing. The patterns stand in secret_formats.py, cards in
card_numbers.py; what a key of ours looks like is said by settings.API_KEY_FORMAT.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings

from support.card_numbers import CARD, SHOWN_DIGITS, is_card_number
from support.secret_formats import FORMATS, Format

_HINTS = [(hint, row) for row in FORMATS for hint in row.hints]
_FOUR_DIGITS = re.compile(r"[0-9]{4}")


class KeyFormat(Protocol):
    """The module that knows the form of our own API keys."""

    PREFIX: str
    PATTERN: str
    SHOWN_CHARACTERS: int

    def is_well_formed(self, key: str) -> bool: ...


@cache
def _our_keys() -> tuple[KeyFormat, re.Pattern[str]]:
    keys = cast(KeyFormat, import_module(settings.API_KEY_FORMAT))
    return keys, re.compile(keys.PATTERN)


# The fields of a ticket into which people paste what they see.
_PASTED_INTO = ("message", "request_ids", "context")


def mask_fields(fields: Mapping[str, object]) -> tuple[dict[str, object], "Masking"]:
    """The fields of a ticket without secrets, and what was found; REDACT_SECRETS turns it off."""
    masking = Masking()
    masked = dict(fields)
    if settings.REDACT_SECRETS:
        masked |= {
            name: masking.mask_value(fields[name]) for name in _PASTED_INTO if name in fields
        }
    return masked, masking


def mask_parts(parts: Sequence[object]) -> tuple[list[object], "Masking"]:
    """The same for texts, and lists of them, that are no ticket's fields."""
    masking = Masking()
    masked = [masking.mask_value(part) for part in parts] if settings.REDACT_SECRETS else [*parts]
    return masked, masking


_OUR_KIND, _CARD_KIND = "Ctxfy API key", "card number"
_KINDS = (*(row.kind for row in FORMATS), _OUR_KIND, _CARD_KIND)
_PLACEHOLDER = re.compile(r"\[([^\[\]\n]{1,100}) removed\]")


def find_placeholders(text: str) -> list[str]:
    """What masking left in a text, each kind and prefix once; anybody can write such words, too.

    Of the first 50 of them, for it is asked of every message that a page shows.
    """
    found = dict.fromkeys(_PLACEHOLDER.findall(text)) if " removed]" in text else {}
    return [words for words in list(found)[:50] if any(kind in words for kind in _KINDS)]


@dataclass
class Masking:
    """One request's masking: how many secrets it has found, and which keys of ours among them."""

    count: int = 0
    own_keys: set[str] = field(default_factory=set)

    def mask(self, text: str) -> str:
        """The text with a placeholder in each secret's place; itself where it holds none."""
        text = self._mask_our_keys(text)
        lowered = text.lower()
        found = {row for hint, row in _HINTS if hint in (lowered if row.any_case else text)}
        for row in FORMATS if found else ():
            if row in found:
                text = self._mask_format(row, text)
        return self._mask_cards(text)

    def mask_value(self, value: object) -> object:
        """The same for a JSON value; a card number may be written as a number."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, list):
            return [self.mask_value(item) for item in value]
        if isinstance(value, dict):
            return {self.mask(key): self.mask_value(item) for key, item in value.items()}
        if isinstance(value, int) and not isinstance(value, bool):
            masked = self.mask(str(value))
            return value if masked == str(value) else masked
        return value

    def _replace(self, kind: str, prefix: str = "", before: str = "") -> str:
        self.count += 1
        return f"{before}[{kind}{f' {prefix}…' if prefix else ''} removed]"

    def _mask_our_keys(self, text: str) -> str:
        keys, pattern = _our_keys()
        if keys.PREFIX not in text:
            return text

        def replace(match: re.Match[str]) -> str:
            key = match[0]
            if not keys.is_well_formed(key):
                return key
            self.own_keys.add(key)
            return self._replace(_OUR_KIND, key[: keys.SHOWN_CHARACTERS])

        return pattern.sub(replace, text)

    def _mask_format(self, row: Format, text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            if not row.is_secret(match):
                return match[0]
            parts = match.groupdict(default="")
            kind = parts.get("which", "") + row.kind
            return self._replace(kind, parts.get("prefix", ""), parts.get("before", ""))

        return row.pattern.sub(replace, text)

    def _mask_cards(self, text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            if not is_card_number(match[0]):
                return match[0]
            return self._replace(_CARD_KIND, match[0][:SHOWN_DIGITS])

        return CARD.sub(replace, text) if _FOUR_DIGITS.search(text) else text

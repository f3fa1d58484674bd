"""What the law asks for of a person: all that is held of them, and its end.

Each app says what it holds (settings.EXPORTS) and how it forgets it (settings.ERASURES); this
module knows none of their tables.
"""

import re
from collections.abc import Collection, Iterator
from functools import reduce
from operator import or_
from typing import Protocol, TypeAlias, TypeVar
from urllib.parse import unquote

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q

# Stands where something of a person stood.
ERASED = "[erased]"
ROWS_READ = 500
AT_SIGNS = ("@", "%40")
# What looks like a mailbox in a text or in a query string; no dot that ends a sentence.
_MAILBOX = re.compile(r"[^\s<>()\[\]{}\",;:=&?|\\/@]+(?:@|%40)[^\W_]+(?:[.-][^\W_]+)*")

M = TypeVar("M", bound=models.Model)
# A name, and a value that json can write or an iterator of such.
Part: TypeAlias = tuple[str, object]
# How many rows of what.
Counts: TypeAlias = dict[str, int]


class InUseError(Exception):
    """Something of theirs is in somebody's hands; run again."""


class Export(Protocol):
    """A function of settings.EXPORTS: what its app holds of an account."""

    def __call__(self, user: AbstractUser) -> Iterator[Part]: ...


class Erasure(Protocol):
    """A function of settings.ERASURES: a step of an account's end, in small transactions.

    It yields what it has deleted or changed, with `dry_run` what it would. It may be killed
    anywhere and run again. Raises InUseError where it had to leave something.
    """

    def __call__(self, user: AbstractUser, *, dry_run: bool) -> Iterator[Counts]: ...


class Traces:
    """How a person is named in what others wrote.

    Names count as whole words and as they are written; mailboxes in any case of letters, and also
    as a query string spells them. There may be thousands of mailboxes, so each that stands in a
    text is looked up, and not the other way round.
    """

    def __init__(self, names: Collection[str], mailboxes: Collection[str]) -> None:
        self._mailboxes = {text.lower() for text in (*mailboxes, *names) if "@" in text}
        self._names = [name for name in names if name and "@" not in name]
        either = "|".join(re.escape(name) for name in self._names)
        self._named = re.compile(rf"(?<![\w.+%@-])(?:{either})(?![\w@+-])(?!\.\w)")

    def find(self, rows: models.QuerySet[M], *columns: str) -> Iterator[tuple[M, dict[str, str]]]:
        """Rows that name the person, with those columns as they are without; read in batches."""
        words = [*self._names, *(AT_SIGNS if self._mailboxes else ())]
        if not words:
            return
        said = reduce(or_, (Q(**{f"{name}__contains": word}) for name in columns for word in words))
        found = rows.filter(said).order_by("pk").only("pk", *columns)
        for row in found.iterator(chunk_size=ROWS_READ):
            texts = {name: str(getattr(row, name)) for name in columns}
            cleared = {name: self.clear(text) for name, text in texts.items()}
            if cleared != texts:
                yield row, cleared

    def blank(self, rows: models.QuerySet[M], *columns: str, dry_run: bool) -> int:
        """Put ERASED in their place; return in how many rows."""
        count = 0
        for row, cleared in self.find(rows, *columns):
            count += 1
            if not dry_run:
                rows.model._default_manager.filter(pk=row.pk).update(**cleared)
        return count

    def clear(self, text: str) -> str:
        if self._mailboxes:
            text = _MAILBOX.sub(self._replace, text)
        return self._named.sub(ERASED, text) if self._names else text

    def _replace(self, found: re.Match[str]) -> str:
        is_theirs = unquote(found[0]).lower() in self._mailboxes
        return ERASED if is_theirs else found[0]


def find_full_name(user: AbstractUser) -> list[str]:
    """First and last name together, if there are both; one alone may be anybody's word."""
    return [user.get_full_name()] if user.first_name and user.last_name else []

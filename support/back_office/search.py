"""Find tickets by id, account, address, request id and words of the message.

PostgreSQL keeps the words in a column of the table (migration 0003), so that no plan has to parse
messages while it walks an index; SQLite looks for each word in the text.
"""

import json
import re
from collections.abc import Callable
from typing import TypeVar, cast
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.db.models.expressions import Col
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan
from django.db.models.sql.compiler import SQLCompiler

from support.models import Ticket

LONGEST_SEARCH = 400
LONGEST_SEARCH_MS = 250
QUERY_CANCELED = "57014"

T = TypeVar("T")
MOST_ACCOUNTS = 50


class HasWords(Func):
    """Whether the row's text column says all of this, in PostgreSQL's web search syntax.

    `IS TRUE` says nothing new, but keeps the index of words out of the plan.
    """

    arity = 2
    output_field = BooleanField()
    by_index = True

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: object
    ) -> tuple[str, list[object]]:
        row = cast("Col", self.source_expressions[0])
        words = self.source_expressions[1]
        text, params = compiler.compile(words)
        alias = connection.ops.quote_name(row.alias)
        # The address and unknown words are kept as they are written, the rest by their stems.
        query = f"websearch_to_tsquery('english', {text}) || websearch_to_tsquery('simple', {text})"
        sql = f"{alias}.search_words @@ ({query})"
        return sql if self.by_index else f"({sql}) IS TRUE", [*params, *params]


class HasRequestId(Func):
    """Whether the row's list of request ids has this one, which is given as a JSON list of one.

    The second half says nothing new, but is what the index is built for.
    """

    arity = 2
    output_field = BooleanField()

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: object
    ) -> tuple[str, list[object]]:
        column, _ = compiler.compile(self.source_expressions[0])
        wanted, params = compiler.compile(self.source_expressions[1])
        return f"({column} @> {wanted}::jsonb AND {column} <> '[]'::jsonb)", [*params]


class HasWordsRowByRow(HasWords):
    """The same, asked of each row that the other conditions leave."""

    by_index = False


def clean(text: str) -> str:
    """What of a search box's text can be looked for: no NUL, its first 400 characters."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", " ", text)[:LONGEST_SEARCH].split())


def find_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def matches(text: str, accounts: list[int], *, row_by_row: bool = False) -> Q:
    """The condition on tickets that a cleaned search text means.

    `accounts`: what find_accounts() says. `row_by_row`: the rows are quicker to ask one by one than
    the index is, which knows a common word's rows in the whole table.
    """
    ticket_id = find_id(text)
    if ticket_id is not None:
        return Q(pk=ticket_id) | _names_request(text)
    found = Q(user__in=accounts) | _says(text, row_by_row=row_by_row)
    return found if " " in text else found | _names_request(text)


def _names_request(text: str) -> Q:
    if connection.vendor == "postgresql":
        return Q(HasRequestId(F("request_ids"), Value(json.dumps([text]))))
    # As the list's text has it: the first entry, or one behind a comma and a blank. No id holds a
    # blank, and before a quote of its own stands a backslash.
    entry = json.dumps(text)
    first = GreaterThan(StrIndex(F("request_ids"), Value(f"[{entry}")), 0)
    further = GreaterThan(StrIndex(F("request_ids"), Value(f", {entry}")), 0)
    return Q(first) | Q(further)


def estimate(found: QuerySet[Ticket]) -> int:
    """About how many these are, by the server's statistics; 0 on SQLite, which has none."""
    if connection.vendor != "postgresql":
        return 0
    [plan] = json.loads(found.explain(format="json"))
    return int(plan["Plan"]["Plan Rows"])


def within_time(find: Callable[[], T]) -> tuple[bool, T | None]:
    """Whether the search came to an end within LONGEST_SEARCH_MS, and what it found."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {LONGEST_SEARCH_MS}")
            found = find()
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
            return True, found
    except OperationalError as exc:
        if getattr(exc.__cause__, "sqlstate", "") != QUERY_CANCELED:
            raise
        return False, None


def _says(text: str, *, row_by_row: bool) -> Q:
    if connection.vendor == "postgresql":
        has_words = HasWordsRowByRow if row_by_row else HasWords
        return Q(has_words(F("message"), Value(text)))
    found = Q()
    for word in text.split():
        found &= Q(message__icontains=word) | Q(reply_address__icontains=word)
    return found


def find_accounts(text: str) -> list[int]:
    """Ids of the accounts whose name or address starts so, from two indexes of their own.

    A list and not a subquery: what finds the tickets then knows how few they are.
    """
    if find_id(text) is not None:
        return []
    accounts = get_user_model()._default_manager.filter(
        Q(username__istartswith=text) | Q(email__istartswith=text)
    )
    return list(accounts.order_by().values_list("pk", flat=True)[:MOST_ACCOUNTS])

"""Which rows one statement takes where others take some too: the SQL that the ORM lacks."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup, Subquery
from django.db.models.sql.compiler import SQLCompiler

# Now(), as a statement that is written by hand has it.
DATABASE_NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}


class Chosen(Subquery):
    """The keys of some rows; on PostgreSQL each is locked, and what others have locked left out."""

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        template = "ARRAY(%(subquery)s FOR NO KEY UPDATE SKIP LOCKED)"
        sql, params = self.as_sql(compiler, connection, template=template)
        return f"({sql})", params


class IsChosen(Lookup[Any]):
    """Whether a key is among the chosen, who are chosen once.

    `IN (SELECT … LIMIT n FOR NO KEY UPDATE SKIP LOCKED)` is run again for each row of the table
    where PostgreSQL takes the table for small, and chooses n others each time.
    """

    lookup_name = "is_chosen"

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        key, key_params = self.process_lhs(compiler, connection)
        chosen, chosen_params = self.process_rhs(compiler, connection)
        operator = "= ANY" if connection.vendor == "postgresql" else "IN "
        return f"{key} {operator}{chosen}", (*key_params, *chosen_params)

"""A ticket's context as it is kept and as people read it: names with values, in their order."""

import json

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class ContextColumn(models.TextField[dict[str, object], dict[str, object]]):
    """A JSON object as text: PostgreSQL's jsonb would sort its names and write out 1e300."""

    def from_db_value(
        self, value: str, expression: object, connection: BaseDatabaseWrapper
    ) -> dict[str, object]:
        context: dict[str, object] = json.loads(value)
        return context

    def get_prep_value(self, value: object) -> str:
        return json.dumps(value)


def write_context(context: dict[str, object]) -> list[tuple[str, str]]:
    """Rows (name, value as text)."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in context.items()
    ]

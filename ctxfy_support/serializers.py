"""What rows look like in answers: the fields say it, and one instance of a serializer serves all.

DRF's way builds every serializer anew for each request, with a deep copy of each of its fields,
and asks every field how to read its value for each row.
"""

from collections.abc import Callable
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from rest_framework import serializers

from ctxfy_support.moments import write_moment

M = TypeVar("M")


class RowSerializer(serializers.Serializer[M]):
    """Shows a row's attributes; an instance keeps nothing of what it shows."""

    def to_representation(self, instance: M) -> dict[str, Any]:
        shown = {}
        for name, read, write in self._columns:
            value = read(instance)
            shown[name] = None if value is None else write(value)
        return shown

    @cached_property
    def _columns(self) -> list[tuple[str, Callable[[M], object], Callable[[Any], object]]]:
        """Each field's name, how its value is read, and how it is written."""
        return [
            (
                str(field.field_name),
                attrgetter(".".join(field.source_attrs)),
                write_moment
                if type(field) is serializers.DateTimeField
                else field.to_representation,
            )
            for field in self._readable_fields
        ]

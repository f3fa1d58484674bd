"""What rows look like in answers: the fields say it, and one instance of a serializer serves all.

DRF's way builds every serializer anew for each request, with a deep copy of each of its fields,
and asks every field how to read its value for each row.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, TypeVar

from rest_framework import serializers

from ctxfy_support.moments import write_moment

M = TypeVar("M")


class RowSerializer(serializers.Serializer[M]):
    """Shows rows, instances of a model or what its values() gives; it keeps nothing of them."""

    def to_representation(self, instance: M | dict[str, object]) -> dict[str, Any]:
        read = instance.__getitem__ if isinstance(instance, dict) else partial(getattr, instance)
        shown: dict[str, Any] = {}
        for name, source, write in self._columns:
            value = read(source)
            shown[name] = None if value is None else write(value)
        return shown

    @property
    def sources(self) -> list[str]:
        """The columns that it shows, for values(): no instance is made of what is only shown."""
        return [source for _, source, _ in self._columns]

    @cached_property
    def _columns(self) -> list[tuple[str, str, Callable[[Any], object]]]:
        """Each field's name, where its value is, and how it is written."""
        return [
            (
                str(field.field_name),
                str(field.source),
                write_moment
                if type(field) is serializers.DateTimeField
                else field.to_representation,
            )
            for field in self._readable_fields
        ]

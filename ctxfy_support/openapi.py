"""The OpenAPI document: the API as the code has it, through drf-spectacular, once a process.

Here stands what the project itself answers for: text fields, pages, and what all operations share.
What is an app's own stands in its schema.py, the guide in templates/reference/guide/.
"""

import json
from functools import cache

from django.conf import settings
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from ctxfy_support.answers import (
    ERROR_SCHEMAS,
    HEADERS,
    RATE_LIMIT_HEADERS,
    Part,
    make_headers,
)
from ctxfy_support.error_answers import find_error_responses, get_errors, make_error_response
from ctxfy_support.pagination import LINK, PAGINATION_SCHEMA
from ctxfy_support.public_endpoints import make_public_paths, make_public_schemas

# --- How drf-spectacular reads the code ----------------------------------------------------------


class PageSchema(AutoSchema):
    """drf-spectacular's, but for the name of a page of `Ticket`: `TicketPage`."""

    def get_paginated_name(self, serializer_name: str) -> str:
        return f"{serializer_name}Page"


def annotate(result: Part, notes: dict[str, dict[str, Part]]) -> None:
    """Add to properties what their fields cannot say: schema -> property -> keywords.

    A keyword that is None is taken away. Raises KeyError for a property that the code no longer
    has.
    """
    for schema, properties in notes.items():
        for name, keywords in properties.items():
            merged = result["components"]["schemas"][schema]["properties"][name] | keywords
            result["components"]["schemas"][schema]["properties"][name] = {
                keyword: value for keyword, value in merged.items() if value is not None
            }


# As fields.py refuses them, but for two kinds. No text that a client can send holds a lone
# surrogate. And the C1 controls have no name that all languages know: clients match these patterns
# in their own, where `\x9f` is a byte of other letters (PHP) or an error (Ruby), and PHP has no
# `\u`. A pattern here may be wider than what is taken, never narrower.
_CONTROL = r"\x00-\x1f\x7f"
_CONTROL_BUT_LAYOUT = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
# What is trimmed, where `\s` alone says less than Python means.
_SPACE = r"[\s\x0b\x1c-\x1f]*"


def make_line_pattern(*, blank: bool = False, address: bool = False) -> str:
    """A line without control characters; it is trimmed, so any white space may surround it.

    An `address` with an `@` has one, and something on both of its sides.
    """
    if blank:
        return rf"^{_SPACE}[^{_CONTROL}]*{_SPACE}$"
    if address:
        text = rf"[^\s{_CONTROL}@][^{_CONTROL}@]*(?:@[^{_CONTROL}@]+)?"
    else:
        text = rf"[^\s{_CONTROL}][^{_CONTROL}]*"
    return rf"^{_SPACE}{text}{_SPACE}$"


def make_text_pattern(*, blank: bool = False) -> str:
    """Lines without control characters, and unless `blank` more than white space in them."""
    control = _CONTROL_BUT_LAYOUT
    if blank:
        return rf"^[^{control}]*$"
    return rf"^[^\S{control}]*[^\s{control}][^{control}]*$"


_PATTERN = "x-pattern"


def _show_patterns(result: Part) -> None:
    for schema in result["components"]["schemas"].values():
        for field in schema.get("properties", {}).values():
            if _PATTERN in field:
                field["pattern"] = field.pop(_PATTERN)


class TextFieldExtension(OpenApiSerializerFieldExtension):
    """fields.TextField: its length, and the characters that it takes."""

    target_class = "ctxfy_support.fields.TextField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> Part:
        field = self.target
        if field.trim_whitespace:
            pattern = make_line_pattern(blank=field.allow_blank)
        else:
            pattern = make_text_pattern()
        schema = {"type": "string", "maxLength": field.max_length}
        if field.allow_blank:
            # Out of sight of drf-spectacular, which would add another way to be empty (oneOf).
            return schema | {_PATTERN: pattern}
        return schema | {"minLength": 1, "pattern": pattern}


# --- The document --------------------------------------------------------------------------------


def _let_answers_grow(result: Part) -> None:
    """Allow properties that are not named yet: Go's clients refuse an answer with another one.

    But errors keep their shape, so that TypeScript can tell them apart by their properties.
    """
    taken = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        for operations in result["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    }
    for name, schema in result["components"]["schemas"].items():
        if name not in taken and name not in ERROR_SCHEMAS:
            schema["additionalProperties"] = True


def add_what_all_share(result: Part, **kwargs: object) -> Part:
    """Complete drf-spectacular's document; its postprocessing hook, after those of the apps."""
    _show_patterns(result)
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for answer in operation["responses"].values():
                shared = make_headers("X-Request-Id", *RATE_LIMIT_HEADERS)
                answer["headers"] = answer.get("headers", {}) | shared
            if any(row["name"] == "after" for row in operation.get("parameters", [])):
                operation["responses"]["200"]["headers"]["Link"] = LINK
            operation["responses"] |= find_error_responses(path, operation)
    result["paths"] |= make_public_paths()
    schemas = result["components"]["schemas"] | {"Pagination": PAGINATION_SCHEMA}
    result["components"] |= {
        "headers": {name: {**header, "required": True} for name, header in HEADERS.items()},
        "responses": {
            error.name: make_error_response(status, error) for status, error in get_errors().items()
        },
        "schemas": ERROR_SCHEMAS | dict(sorted(schemas.items())) | make_public_schemas(),
    }
    _let_answers_grow(result)
    result["info"]["contact"]["url"] = f"{settings.SITE_URL}/docs"
    result["servers"] = [{"url": settings.SITE_URL}]
    return result


@cache
def _generate() -> str:
    generator = SchemaGenerator()
    return json.dumps(generator.get_schema(request=None, public=True))


def get_document() -> Part:
    """The document, made on first use; a copy, so that no reader can change it for the next."""
    document: Part = json.loads(_generate())
    return document

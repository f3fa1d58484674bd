"""/openapi.json and /docs: one document, as JSON for programs and as a page for people.

Both are made once for each address they are asked for at, and need no key.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_safe

from ctxfy_support import markdown
from ctxfy_support.answers import ERRORS, RATE_LIMIT_HEADERS
from ctxfy_support.openapi import get_document

# Addresses whose document and page are kept; a service has one or two.
ORIGINS_KEPT = 8
# A maximum that is there for the database, not for the reader.
FAR = 1_000_000
DOCS_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)


# --- The document, taken apart for the page ------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A parameter, a header or a property; `fields` are what an object or a row has in turn."""

    name: str
    kind: str
    description: SafeString
    required: bool = False
    location: str = ""
    limits: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    default: str = ""
    example: str = ""
    fields: list["Field"] = field(default_factory=list)


@dataclass(frozen=True)
class Example:
    name: str
    text: str


@dataclass(frozen=True)
class Answer:
    """What a status means, and what comes with it."""

    status: int
    description: SafeString
    headers: list[Field]
    fields: list[Field]
    media_type: str
    examples: list[Example]

    @property
    def phrase(self) -> str:
        return HTTPStatus(self.status).phrase

    @property
    def family(self) -> int:
        """2 for every 2xx, and so on."""
        return self.status // 100

    @property
    def language(self) -> str:
        return "json" if self.media_type == "application/json" else "text"


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    description: SafeString
    needs_key: bool
    parameters: list[Field]
    body: list[Field]
    body_examples: list[Example]
    answers: list[Answer]
    errors: list[Answer]


class Reader:
    """Reads the parts of one document, its references followed."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def resolve(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self.document
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            value = found
        return value

    def read_field(self, name: str, schema: dict[str, Any], **more: Any) -> Field:
        schema = self.resolve(schema)
        inner = self.resolve(schema.get("items", schema))
        types = schema.get("type", "string")
        kinds = [*types] if isinstance(types, list) else [types]
        if "items" in schema:
            kinds = [f"array of {inner['type']}s"]
        elif "format" in schema:
            kinds[0] = schema["format"]
        text = more.pop("description", "") or schema.get("description", "")
        return Field(
            name,
            " or ".join(kinds),
            markdown.render_inline(text),
            limits=_read_limits(schema),
            values=schema.get("enum", []),
            default=str(schema.get("default", "")),
            fields=self.read_properties(inner),
            **more,
        )

    def read_properties(self, schema: dict[str, Any]) -> list[Field]:
        schema = self.resolve(schema)
        return [
            self.read_field(name, value, required=name in schema.get("required", []))
            for name, value in schema.get("properties", {}).items()
        ]

    def read_parameters(self, rows: list[tuple[str, dict[str, Any]]]) -> list[Field]:
        """Parameters or headers, as rows (name, parameter)."""
        fields = []
        for name, row in rows:
            parameter = self.resolve(row)
            examples = [example["value"] for example in parameter.get("examples", {}).values()]
            fields.append(
                self.read_field(
                    name,
                    parameter["schema"],
                    description=parameter.get("description", ""),
                    required=parameter.get("required", False),
                    location=parameter.get("in", ""),
                    example=str(parameter.get("example", (examples or [""])[0])),
                )
            )
        return fields

    def read_answer(self, status: str, row: dict[str, Any]) -> Answer:
        answer = self.resolve(row)
        contents: dict[str, dict[str, Any]] = answer.get("content", {})
        media_type, content = next(iter(contents.items()), ("", {}))
        return Answer(
            int(status),
            markdown.render_inline(answer["description"]),
            self.read_parameters(list(answer.get("headers", {}).items())),
            self.read_properties(content.get("schema", {})),
            media_type,
            _read_examples(content),
        )

    def read_operation(self, path: str, method: str, operation: dict[str, Any]) -> Operation:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        answers = [self.read_answer(*item) for item in sorted(operation["responses"].items())]
        return Operation(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            description=markdown.render(operation["description"]),
            needs_key=bool(operation.get("security")),
            parameters=self.read_parameters(
                [(row["name"], row) for row in operation.get("parameters", [])]
            ),
            body=self.read_properties(content.get("schema", {})),
            body_examples=_read_examples(content),
            answers=[answer for answer in answers if answer.status < 400],
            errors=[answer for answer in answers if answer.status >= 400],
        )

    def read_groups(self) -> list[dict[str, Any]]:
        """Tags in their order, each with its operations: collections before single things."""
        operations = [
            (operation["tags"][0], self.read_operation(path, method, operation))
            for path, methods in self.document["paths"].items()
            for method, operation in sorted(methods.items(), reverse=True)
        ]
        return [
            tag
            | {"operations": [operation for name, operation in operations if name == tag["name"]]}
            for tag in self.document["tags"]
        ]


def _read_limits(schema: dict[str, Any]) -> list[str]:
    """What JSON Schema says of a value's size and form, in words."""
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    limits = []
    if high:
        limits.append(f"{low} to {high:,} characters" if low else f"up to {high:,} characters")
    if "minimum" in schema:
        low, high = schema["minimum"], schema.get("maximum", FAR)
        limits.append(f"{low} or more" if high >= FAR else f"{low} to {high}")
    return limits


def _read_examples(content: dict[str, Any]) -> list[Example]:
    rows = content.get("examples", {}).items()
    return [
        Example(
            example.get("summary", name),
            example["value"]
            if isinstance(example["value"], str)
            else json.dumps(example["value"], indent=2, ensure_ascii=False),
        )
        for name, example in rows
    ]


# --- Views ---------------------------------------------------------------------------------------


def get_origin(request: HttpRequest) -> str:
    """Scheme, host and port as the reader sees them; raises DisallowedHost for a strange one."""
    return f"{request.scheme}://{request.get_host()}"


@lru_cache(maxsize=ORIGINS_KEPT)
def render_document(origin: str) -> bytes:
    """The document as JSON, with the server that it was asked for at."""
    document = get_document() | {"servers": [{"url": origin}]}
    return json.dumps(document, ensure_ascii=False).encode()


@lru_cache(maxsize=ORIGINS_KEPT)
def render_page(origin: str) -> bytes:
    """The document as a page whose samples call the server that it was asked for at."""
    document = get_document()
    reader = Reader(document)
    introduction, *sections = markdown.split_sections(document["info"]["description"])
    components = document["components"]
    context = {
        "info": document["info"],
        "origin": origin,
        "introduction": introduction,
        "sections": sections,
        "groups": reader.read_groups(),
        "errors": [
            reader.read_answer(str(status), components["responses"][answer.name])
            for status, answer in ERRORS.items()
        ],
        "error_fields": reader.read_properties(components["schemas"]["Error"]),
        "rate_limit_headers": reader.read_parameters(
            [(name, components["headers"][name]) for name in RATE_LIMIT_HEADERS]
        ),
    }
    return render_to_string("reference/page.html", context).encode()


def make_etag(render: Callable[[str], bytes]) -> Callable[[HttpRequest], str]:
    """For `condition`: a digest of what the request would be answered with."""

    def etag(request: HttpRequest) -> str:
        return f'"{hashlib.sha256(render(get_origin(request))).hexdigest()[:32]}"'

    return etag


@require_safe
@gzip_page
@condition(etag_func=make_etag(render_document))
def openapi(request: HttpRequest) -> HttpResponse:
    """The document; there is no secret in it, so any site's page may read it."""
    return HttpResponse(
        render_document(get_origin(request)),
        content_type="application/json",
        headers={
            "Access-Control-Allow-Origin": "*",
            "Cache-Control": "no-cache",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        },
    )


@require_safe
@gzip_page
@condition(etag_func=make_etag(render_page))
def docs(request: HttpRequest) -> HttpResponse:
    """The page; it loads nothing that this service does not serve."""
    return HttpResponse(
        render_page(get_origin(request)),
        headers={
            "Cache-Control": "no-cache",
            "Content-Security-Policy": DOCS_POLICY,
            "Referrer-Policy": "no-referrer",
        },
    )

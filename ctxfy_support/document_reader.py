"""The OpenAPI document taken apart into what the reference page shows, its references followed."""

import json
from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from ctxfy_support import markdown
from ctxfy_support.answers import Part
from ctxfy_support.envelope import get_phrase

# A maximum that is there for the database, not for the reader.
FAR = 1_000_000


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
        return get_phrase(self.status)

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

    def __init__(self, document: Part) -> None:
        self.document = document

    def resolve(self, value: Part) -> Part:
        while "$ref" in value:
            found = self.document
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            value = found
        return value

    def read_field(
        self,
        name: str,
        schema: Part,
        *,
        description: str = "",
        required: bool = False,
        location: str = "",
        example: str = "",
    ) -> Field:
        schema = self.resolve(schema)
        inner = self.resolve(schema.get("items", schema))
        types = schema.get("type", "string")
        kinds = [*types] if isinstance(types, list) else [types]
        if "items" in schema:
            kinds = [f"array of {inner['type']}s"]
        elif "format" in schema:
            kinds[0] = schema["format"]
        return Field(
            name,
            " or ".join(kinds),
            markdown.render_inline(description or schema.get("description", "")),
            required=required,
            location=location,
            example=example,
            limits=_read_limits(schema),
            values=schema.get("enum") or schema.get("x-extensible-enum") or [],
            default=str(schema.get("default", "")),
            fields=self.read_properties(inner),
        )

    def read_properties(self, schema: Part) -> list[Field]:
        schema = self.resolve(schema)
        return [
            self.read_field(name, value, required=name in schema.get("required", []))
            for name, value in schema.get("properties", {}).items()
        ]

    def read_parameters(self, rows: list[tuple[str, Part]]) -> list[Field]:
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

    def read_answer(self, status: str, row: Part) -> Answer:
        answer = self.resolve(row)
        contents: dict[str, Part] = answer.get("content", {})
        media_type, content = next(iter(contents.items()), ("", {}))
        return Answer(
            int(status),
            markdown.render_inline(answer["description"]),
            self.read_parameters(list(answer.get("headers", {}).items())),
            self.read_properties(content.get("schema", {})),
            media_type,
            _read_examples(content),
        )

    def read_operation(self, path: str, method: str, operation: Part) -> Operation:
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

    def read_groups(self) -> list[Part]:
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


def _read_limits(schema: Part) -> list[str]:
    """What JSON Schema says of a value's size and form, in words."""
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    limits = []
    if high:
        limits.append(f"{low} to {high:,} characters" if low else f"up to {high:,} characters")
    if "minimum" in schema:
        low, high = schema["minimum"], schema.get("maximum", FAR)
        limits.append(f"{low} or more" if high >= FAR else f"{low} to {high}")
    return limits


def _read_examples(content: Part) -> list[Example]:
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

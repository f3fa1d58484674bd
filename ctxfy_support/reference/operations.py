"""The OpenAPI document as Markdown: every operation with its fields, answers and samples."""

import json
from collections.abc import Iterator

from ctxfy_support.answers import RATE_LIMIT_HEADERS, Part
from ctxfy_support.envelope import get_phrase
from ctxfy_support.reference.samples import LANGUAGES, Sample

# A maximum that is there for the database, not for the reader.
FAR = 1_000_000
METHODS = ("post", "get", "patch", "put", "delete")
# Told once, under "Requests and answers" and "Rate limits".
OF_EVERY_ANSWER = {"X-Request-Id", *RATE_LIMIT_HEADERS}


def make_fence(language: str, text: object, title: str = "") -> str:
    """A block of code; a value that is no text is written as JSON."""
    if not isinstance(text, str):
        text = json.dumps(text, indent=2, ensure_ascii=False)
    return f"```{language} {title}".rstrip() + f"\n{text.rstrip()}\n```"


def get_content(row: Part) -> Part:
    """What a body or an answer holds; empty without any."""
    content: Part = next(iter(row.get("content", {}).values()), {})
    return content


def get_examples(content: Part) -> dict[str, object]:
    """By their names for people."""
    return {
        example.get("summary", name): example["value"]
        for name, example in content.get("examples", {}).items()
    }


def _describe_size(schema: Part) -> Iterator[str]:
    for low_name, high_name, unit in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " of them"),
        ("minProperties", "maxProperties", " entries"),
        ("minimum", "maximum", ""),
    ):
        low, high = schema.get(low_name, 0), schema.get(high_name)
        if high is not None and high < FAR:
            yield f"{low} to {high:,}{unit}" if low else f"up to {high:,}{unit}"
        elif low_name == "minimum" and low:
            yield f"{low} or more"


def join(*blocks: str) -> str:
    """Blocks of Markdown, without the empty ones."""
    return "\n\n".join(filter(None, blocks))


class Reader:
    """Reads one document, its references followed."""

    def __init__(self, document: Part) -> None:
        self.document = document

    def resolve(self, value: Part) -> Part:
        while "$ref" in value:
            found = self.document
            for step in value["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            value = found
        return value

    def iterate_operations(self) -> Iterator[tuple[str, str, Part]]:
        """Rows (METHOD, path, operation); of one path what makes, what shows, what ends."""
        for path, methods in self.document["paths"].items():
            for method in sorted(methods, key=METHODS.index):
                yield method.upper(), path, methods[method]

    def get_request(self, operation: Part) -> Part:
        return get_content(self.resolve(operation.get("requestBody", {})))

    def get_parameters(self, operation: Part) -> list[Part]:
        return [self.resolve(row) for row in operation.get("parameters", [])]

    # --- Fields --------------------------------------------------------------------------------

    def _describe_kind(self, schema: Part) -> str:
        types = schema.get("type", "string")
        kinds = [*types] if isinstance(types, list) else [types]
        if "items" in schema:
            kinds[0] = f"array of {self.resolve(schema['items']).get('type', 'value')}s"
        elif "format" in schema:
            kinds[0] = schema["format"]
        return ", ".join([" or ".join(kinds), *_describe_size(schema)])

    def write_field(self, name: str, schema: Part, *notes: str, text: str = "") -> list[str]:
        """A row, and below it those of what the field holds; `notes` stand beside its type."""
        schema = self.resolve(schema)
        kind = ", ".join([self._describe_kind(schema), *filter(None, notes)])
        words = [" ".join((text or schema.get("description", "")).split())]
        for keyword, start in (("enum", "One of"), ("x-extensible-enum", "So far")):
            if values := schema.get(keyword):
                words.append(f"{start} {', '.join(f'`{value}`' for value in values)}.")
        if "default" in schema:
            words.append(f"Default: `{schema['default']}`.")
        row = f"- **`{name}`** ({kind}): {' '.join(words)}".rstrip(" :")
        inner = self.write_properties(self.resolve(schema.get("items", schema)))
        return [row, *(f"  {line}" for line in inner)]

    def write_properties(self, schema: Part, *, is_input: bool = False) -> list[str]:
        schema = self.resolve(schema)
        return [
            line
            for name, part in schema.get("properties", {}).items()
            for line in self.write_field(
                name, part, "required" if is_input and name in schema.get("required", []) else ""
            )
        ]

    def write_parameters(self, rows: dict[str, Part]) -> list[str]:
        """Parameters or headers."""
        return [
            line
            for name, row in rows.items()
            for line in self.write_field(
                name,
                row["schema"],
                f"in the {row['in']}" if "in" in row else "",
                "required" if "in" in row and row.get("required") else "",
                text=row.get("description", ""),
            )
        ]

    # --- Answers -------------------------------------------------------------------------------

    def write_answer(self, status: str, row: Part, level: str = "####") -> list[str]:
        """What a status means, what comes with it; an error's fields are told once for all."""
        content = get_content(row)
        fields = [] if status >= "400" else self.write_properties(content.get("schema", {}))
        headers = {
            name: self.resolve(header)
            for name, header in row.get("headers", {}).items()
            if name not in OF_EVERY_ANSWER
        }
        return [
            f"{level} {status} {get_phrase(int(status))}",
            row["description"],
            "\n".join(fields),
            "Headers:" if headers and fields else "",
            "\n".join(self.write_parameters(headers)),
            *(
                make_fence("text" if isinstance(value, str) else "json", value, f"{status} {name}")
                for name, value in get_examples(content).items()
            ),
        ]

    def write_errors(self, errors: dict[str, Part]) -> list[str]:
        """Links to those that all operations share; in full what is an operation's own."""
        shared = [status for status, row in errors.items() if "$ref" in row]
        own = [
            f"- **`{status}`** {row['description']}"
            for status, row in errors.items()
            if status not in shared
        ]
        links = [f"[{status}](#error-{status})" for status in shared]
        return ["#### Errors", " ".join(links), "\n".join(own)]

    def write_catalogue(self, names: dict[int, str]) -> str:
        """Every error that operations share: the names of their responses by status."""
        responses = self.document["components"]["responses"]
        rows = [self.write_answer(str(status), responses[names[status]], "###") for status in names]
        return join(*(block for row in rows for block in row))

    # --- Operations ----------------------------------------------------------------------------

    def read_console(self, method: str, path: str, operation: Part) -> Part:
        """What the page's script needs to know of an operation."""
        return {
            "id": operation["operationId"],
            "method": method,
            "path": path,
            "needsKey": bool(operation.get("security")),
            "parameters": [
                {
                    "name": row["name"],
                    "place": row["in"],
                    "required": row.get("required", False),
                    "default": str(row["schema"].get("default", "")),
                }
                for row in self.get_parameters(operation)
            ],
            "examples": get_examples(self.get_request(operation)),
        }

    def _write_request(self, operation: Part) -> list[str]:
        request = self.get_request(operation)
        fields = self.write_properties(request.get("schema", {}), is_input=True)
        parameters = self.write_parameters(
            {row["name"]: row for row in self.get_parameters(operation)}
        )
        return [
            "#### Parameters" if parameters else "",
            "\n".join(parameters),
            "#### Body" if fields else "",
            "\n".join(fields),
        ]

    def _write_samples(self, method: str, url: str, operation: Part) -> list[str]:
        examples = get_examples(self.get_request(operation))
        headers = {"Content-Type": "application/json"} if examples else {}
        body = next(iter(examples.values()), None)
        sample = Sample(method, url, headers, bool(operation.get("security")), body)
        return [
            *(make_fence(language, sample.write(language)) for language in LANGUAGES),
            *(make_fence("json", value, name) for name, value in [*examples.items()][1:]),
        ]

    def write_operation(self, method: str, path: str, operation: Part, origin: str) -> list[str]:
        answers = sorted(operation["responses"].items())
        return [
            f"### {operation['summary']}",
            f"`{method} {path}`",
            operation["description"],
            *self._write_request(operation),
            *self._write_samples(method, origin + path, operation),
            *(
                block
                for status, row in answers
                if status < "400"
                for block in self.write_answer(status, self.resolve(row))
            ),
            *self.write_errors({status: row for status, row in answers if status >= "400"}),
        ]

    def write(self, origin: str) -> str:
        """Tags in their order, each with its operations."""
        blocks = []
        for tag in self.document["tags"]:
            blocks += [f"## {tag['name']}", tag["description"]]
            for method, path, operation in self.iterate_operations():
                if tag["name"] in operation["tags"]:
                    blocks += self.write_operation(method, path, operation, origin)
        return join(*blocks)

"""The OpenAPI document as a Postman collection, format 2.1: import it, set `apiKey`, send."""

import json
import re
from uuid import NAMESPACE_URL, uuid5

from ctxfy_support.answers import Part
from ctxfy_support.envelope import get_phrase
from ctxfy_support.openapi import get_document
from ctxfy_support.reference.operations import Reader, get_content, get_examples
from ctxfy_support.reference.text import PLACEHOLDER

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


def _make_row(name: str, parameter: Part) -> Part:
    """A parameter's row, left out of the request until somebody ticks it, if it may be."""
    examples = get_examples(parameter) or {"": parameter.get("example", "")}
    value = parameter["schema"].get("default", next(iter(examples.values())))
    row: Part = {"key": name, "value": str(value), "description": parameter.get("description", "")}
    return row if parameter.get("required") else row | {"disabled": True}


def _make_url(path: str, parameters: list[Part]) -> Part:
    path = _PATH_PARAMETER.sub(r":\1", path)
    rows = {
        place: [_make_row(row["name"], row) for row in parameters if row["in"] == place]
        for place in ("path", "query")
    }
    return {
        "raw": "{{baseUrl}}" + path,
        "host": ["{{baseUrl}}"],
        "path": path.strip("/").split("/"),
        "query": rows["query"],
        "variable": rows["path"],
    }


def _make_request(reader: Reader, method: str, path: str, operation: Part) -> Part:
    parameters = reader.get_parameters(operation)
    request: Part = {
        "method": method,
        "header": [_make_row(row["name"], row) for row in parameters if row["in"] == "header"],
        "url": _make_url(path, parameters),
        "description": operation["description"],
    }
    if not operation.get("security"):
        request["auth"] = {"type": "noauth"}
    if examples := get_examples(reader.get_request(operation)):
        body = json.dumps(next(iter(examples.values())), indent=2, ensure_ascii=False)
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {"mode": "raw", "raw": body, "options": {"raw": {"language": "json"}}}
    return request


def _make_item(reader: Reader, method: str, path: str, operation: Part) -> Part:
    request = _make_request(reader, method, path, operation)
    answers = {status: reader.resolve(row) for status, row in operation["responses"].items()}
    return {
        "name": operation["summary"],
        "request": request,
        "response": [
            {
                "name": f"{status} {name}",
                "originalRequest": request,
                "status": get_phrase(int(status)),
                "code": int(status),
                "_postman_previewlanguage": "json",
                "header": [{"key": "Content-Type", "value": "application/json"}],
                "body": json.dumps(value, indent=2, ensure_ascii=False),
            }
            for status, row in answers.items()
            if status < "400"
            for name, value in get_examples(get_content(row)).items()
        ],
    }


def make_collection() -> str:
    """The collection as JSON, its `baseUrl` at PLACEHOLDER."""
    document = get_document()
    reader = Reader(document)
    info = document["info"]
    collection = {
        "info": {
            # The same whenever it is made, so that importing it again replaces it.
            "_postman_id": str(uuid5(NAMESPACE_URL, info["title"])),
            "name": info["title"],
            "description": f"Put your key into `apiKey`. The guide is at {PLACEHOLDER}/docs.",
            "version": info["version"],
            "schema": FORMAT,
        },
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}],
        },
        "variable": [
            {"key": "baseUrl", "value": PLACEHOLDER},
            {"key": "apiKey", "value": "", "type": "string"},
        ],
        "item": [
            {
                "name": tag["name"],
                "description": tag["description"],
                "item": [
                    _make_item(reader, *row)
                    for row in reader.iterate_operations()
                    if tag["name"] in row[2]["tags"]
                ],
            }
            for tag in document["tags"]
        ],
    }
    return json.dumps(collection, ensure_ascii=False)

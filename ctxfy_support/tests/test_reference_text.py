"""/docs.md, /llms.txt and /postman.json: the reference for programs that read and for Postman."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from ctxfy_support.error_answers import get_errors
from ctxfy_support.openapi import get_document

OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in get_document()["paths"].items()
    for method, operation in methods.items()
}
LANGUAGES = ["sh", "python", "javascript", "go", "ruby"]
HOST = {"Host": "localhost:8443"}
# The parts of Postman's format 2.1 without which it imports nothing, or something else.
TEXT = {"type": "string", "minLength": 1}
ROWS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"key": TEXT, "value": {"type": "string"}, "disabled": {"const": True}},
        "required": ["key", "value"],
    },
}
REQUEST = {
    "type": "object",
    "properties": {
        "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
        "header": ROWS,
        "body": {
            "type": "object",
            "properties": {"mode": {"const": "raw"}, "raw": TEXT},
            "required": ["mode", "raw"],
        },
        "url": {
            "type": "object",
            "properties": {
                "raw": {"type": "string", "pattern": r"^\{\{baseUrl\}\}/"},
                "host": {"const": ["{{baseUrl}}"]},
                "path": {"type": "array", "items": TEXT},
                "query": ROWS,
                "variable": ROWS,
            },
            "required": ["raw", "host", "path"],
        },
    },
    "required": ["method", "header", "url"],
}
RESPONSE = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "originalRequest": REQUEST,
        "status": TEXT,
        "code": {"type": "integer"},
        "header": ROWS,
        "body": {"type": "string"},
    },
    "required": ["name", "originalRequest", "status", "code", "body"],
}
ITEM = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "request": REQUEST,
        "response": {"type": "array", "items": RESPONSE},
    },
    "required": ["name", "request", "response"],
}
COLLECTION = {
    "type": "object",
    "properties": {
        "info": {
            "type": "object",
            "properties": {
                "name": TEXT,
                "schema": {
                    "const": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
                },
            },
            "required": ["name", "schema"],
        },
        "item": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": TEXT, "item": {"type": "array", "items": ITEM}},
                "required": ["name", "item"],
            },
        },
        "variable": ROWS,
        "auth": {"type": "object", "properties": {"type": {"const": "bearer"}, "bearer": ROWS}},
    },
    "required": ["info", "item", "variable", "auth"],
}


@pytest.fixture
def text(client):
    response = client.get("/docs.md", headers=HOST)
    assert (response.status_code, response["Content-Type"]) == (200, "text/markdown; charset=utf-8")
    return response.content.decode()


def sections(text):
    """By heading (## and ###), what stands below it."""
    parts = re.split(
        r"^##+ (.+)$", re.sub(r"^####", "    ", text, flags=re.MULTILINE), flags=re.MULTILINE
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# --- /docs.md ------------------------------------------------------------------------------------


def test_has_every_operation_with_a_sample_in_every_language(text):
    found = sections(text)
    for method, path, operation in OPERATIONS.values():
        section = found[operation["summary"]]
        assert f"`{method} {path}`" in section
        for language in LANGUAGES:
            assert f"```{language}\n" in section
        for parameter in operation.get("parameters", []):
            assert f"**`{parameter['name']}`**" in section
        for status in operation["responses"]:
            assert status in section


def test_has_every_error(text):
    assert {str(status) for status in get_errors()} <= {title[:3] for title in sections(text)}


def test_starts_with_a_program_that_is_safe_to_repeat(text):
    start = sections(text)["Quick start"]
    assert start.count("Idempotency-Key") > len(LANGUAGES)
    assert start.count("Retry-After") >= len(LANGUAGES) - 1  # curl knows it by itself.


@pytest.mark.parametrize(
    "words",
    [
        "| `pending` |", "| `waiting` |", "by mail to the `reply_address`", "a web page",
        "`Content-Encoding`", "a value that you\ndo not know", "30 a minute", "create_api_key",
        "without mailing anyone", "twelve\nmonths", "`updated_after`", "`If-None-Match`",
        "`POST /v1/support/tickets` takes `request_ids` and `context`",
    ],
)  # fmt: skip
def test_answers_what_people_ask(text, words):
    assert words in text


def test_tells_programs_of_the_api_alone(text):
    changelog = sections(text)["Unreleased"]
    assert "Back-office:" not in changelog
    assert "`Idempotency-Key` makes a POST safe to repeat." in changelog


def test_has_links_that_lead_somewhere(client, text):
    page = client.get("/docs", headers=HOST).content.decode()
    links = re.findall(r"\]\((.*?)\)", text)
    assert len(links) > 50
    for link in links:
        path, _, place = link.removeprefix("http://localhost:8443").partition("#")
        assert path in {"/docs", "/docs.md", "/llms.txt", "/openapi.json", "/postman.json"}
        assert not place or f'id="{place}"' in page


@pytest.mark.parametrize("path", ["/docs.md", "/llms.txt", "/postman.json"])
def test_costs_no_query_and_is_open_to_all(client, django_assert_num_queries, db, path):
    with django_assert_num_queries(0):
        response = client.get(path)
    assert response["Access-Control-Allow-Origin"] == "*"
    again = client.get(path, headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


# --- /llms.txt -----------------------------------------------------------------------------------


def test_lists_what_there_is_to_read(client, text):
    response = client.get("/llms.txt", headers=HOST)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    lines = response.content.decode().splitlines()
    assert lines[0] == "# Ctxfy Support API"
    assert lines[2].startswith("> ")
    rows = [re.fullmatch(r"- \[(.+)\]\(http://localhost:8443(/.+?)\): (.+)", line) for line in lines
            if line.startswith("- ")]  # fmt: skip
    assert None not in rows
    slugs = {re.sub(r"\W+", "-", title.lower()).strip("-") for title in sections(text)}
    assert {row[2].partition("#")[2] for row in rows} <= {*slugs, ""}
    titles = {row[1] for row in rows}
    assert titles >= {operation["summary"] for _, _, operation in OPERATIONS.values()}
    assert {line for line in lines if line.startswith("## ")} >= {"## Guide", "## API keys"}


# --- /postman.json -------------------------------------------------------------------------------


@pytest.fixture
def collection(client):
    return client.get("/postman.json", headers=HOST).json()


def test_is_a_collection_that_postman_imports(collection):
    Draft202012Validator(COLLECTION).validate(collection)
    variables = {row["key"]: row["value"] for row in collection["variable"]}
    assert variables == {"baseUrl": "http://localhost:8443", "apiKey": ""}
    assert collection["auth"]["bearer"][0]["value"] == "{{apiKey}}"


def test_has_a_request_for_every_operation(collection):
    requests = {
        item["name"]: item["request"] for folder in collection["item"] for item in folder["item"]
    }
    assert len(requests) == len(OPERATIONS)
    for method, path, operation in OPERATIONS.values():
        request = requests[operation["summary"]]
        assert request["method"] == method
        assert request["url"]["raw"] == "{{baseUrl}}" + re.sub(r"\{(\w+)\}", r":\1", path)
        assert "/" + "/".join(request["url"]["path"]) in request["url"]["raw"]
        assert ("auth" in request) == (not operation.get("security"))
        assert ("body" in request) == ("requestBody" in operation)
        if "body" in request:
            json.loads(request["body"]["raw"])


def test_sends_only_what_must_be_sent(collection):
    for folder in collection["item"]:
        for item in folder["item"]:
            url = item["request"]["url"]
            assert [row["key"] for row in url["variable"]] == re.findall(r":(\w+)", url["raw"])
            assert all(row["disabled"] for row in url["query"])

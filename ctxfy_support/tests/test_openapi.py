"""/openapi.json: what it says is what the service does, for every endpoint and every status."""

import copy
import io
import itertools
import json
import re

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.urls import URLPattern, get_resolver
from jsonschema import Draft202012Validator, FormatChecker

from accounts import api_keys
from accounts.models import MOST_WORKING_KEYS
from accounts.tests.factories import APIKeyFactory
from accounts.wrong_keys import LIMIT
from ctxfy_support import VERSION
from ctxfy_support.openapi import get_document
from ctxfy_support.probes import VIEWS
from ctxfy_support.tests.processes import PROJECT_DIRECTORY
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

DOCUMENT = get_document()
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
# Answers (operation, status) that the document names, but for the 422, which has its own test.
API = [
    (name, int(status))
    for name, (_, path, operation) in OPERATIONS.items()
    for status in operation["responses"]
    if path.startswith("/v1/") and status != "422"
]
WITH_BODY = [name for name, (_, _, operation) in OPERATIONS.items() if "requestBody" in operation]


def resolve(value):
    while "$ref" in value:
        found = DOCUMENT
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        value = found
    return value


def close(schema):
    """A copy in which no object may have a property, and no text a value, that it does not name."""
    schema = copy.deepcopy(schema)
    for part in walk(schema):
        if "properties" in part:
            part["additionalProperties"] = False
        if "x-extensible-enum" in part:
            part["enum"] = part["x-extensible-enum"]
    return schema


def walk(value):
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from walk(inner)


COMPONENTS = close(DOCUMENT["components"])


def validate(value, schema):
    schema = {**schema, "components": COMPONENTS}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(value)


def validate_headers(response, documented):
    for name, row in documented.items():
        header = resolve(row)
        value = response.headers.get(name)
        if value is None:
            assert not header.get("required"), name
            continue
        is_integer = header["schema"]["type"] == "integer"
        validate(int(value) if is_integer else value, header["schema"])


def validate_answer(response, operation):
    """The answer's headers and body against what the operation says of its status."""
    documented = resolve(OPERATIONS[operation][2]["responses"][str(response.status_code)])
    validate_headers(response, documented["headers"])
    contents = documented.get("content", {})
    if not contents:
        assert response.content == b""
    for media_type, content in contents.items():
        assert response["Content-Type"].split(";")[0] == media_type
        value = response.json() if media_type == "application/json" else response.content.decode()
        validate(value, content["schema"])


@pytest.fixture
def call(client):
    """`call(operation, **changes)`: a request that succeeds, but for the changes."""
    key = APIKeyFactory()
    ticket = TicketFactory(user=key.user)
    other_key = APIKeyFactory(user=key.user)
    names = ["getTicket", "updateTicket", "listMessages", "createMessage"]
    ids = dict.fromkeys(names, ticket.pk)
    ids |= dict.fromkeys(["getApiKey", "revokeApiKey"], other_key.pk)

    def call(name, *, path_id=None, method=None, query="", body=None, type_=None, **headers):
        documented_method, path, operation = OPERATIONS[name]
        path = path.replace("{id}", str(path_id or ids.get(name)))
        if body is None and "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            body = json.dumps(next(iter(content["examples"].values()))["value"])
        return client.generic(
            method or documented_method,
            path + query,
            body or "",
            "application/json" if type_ is None else type_,
            REMOTE_ADDR=headers.pop("address", "127.0.0.1"),
            headers={"Authorization": f"Bearer {key.secret}"} | headers,
        )

    client.raise_request_exception = False
    call.key = key
    return call


def provoke_400(call, name, monkeypatch):
    if name in WITH_BODY:
        return call(name, body="{")
    return call(name, Host="evil.example")


def provoke_429(call, name, monkeypatch):
    plan = call.key.user.plan
    plan.requests_per_minute = 0
    plan.save()
    return call(name)


def fail_with(error):
    def provoke(call, name, monkeypatch):
        def fail(*args, **kwargs):
            raise error("secret detail")

        monkeypatch.setattr("rest_framework.views.APIView.initial", fail)
        return call(name)

    return provoke


def provoke_304(call, name, monkeypatch):
    return call(name, **{"If-None-Match": call(name)["ETag"]})


def provoke_409(call, name, monkeypatch):
    if name == "createApiKey":
        APIKeyFactory.create_batch(MOST_WORKING_KEYS, user=call.key.user)
    Ticket.objects.update(state="closed")
    return call(name)


PROVOKE = {
    304: provoke_304,
    400: provoke_400,
    401: lambda call, name, _: call(name, Authorization="Bearer nonsense"),
    403: lambda call, name, _: call(name, address="203.0.113.7"),
    404: lambda call, name, _: call(name, path_id="0193a2c4-5d6e-7f80-9a1b-2c3d4e5f6071"),
    405: lambda call, name, _: call(name, method="PUT"),
    406: lambda call, name, _: call(name, Accept="image/png"),
    409: provoke_409,
    413: lambda call, name, _: call(name, body=json.dumps({"name": "x" * 256 * 1024})),
    415: lambda call, name, _: call(name, type_="text/plain"),
    429: provoke_429,
    500: fail_with(RuntimeError),
    503: fail_with(OperationalError),
}


@pytest.mark.parametrize(("name", "status"), API)
def test_describes_every_answer(call, monkeypatch, name, status):
    response = PROVOKE[status](call, name, monkeypatch) if status in PROVOKE else call(name)
    assert response.status_code == status
    validate_answer(response, name)


def examples_of(answer):
    examples = resolve(answer)["content"]["application/json"]["examples"]
    return [example["value"] for example in examples.values()]


@pytest.mark.parametrize("status", [status for status in PROVOKE if 400 <= status < 500])
def test_shows_errors_as_they_are(call, monkeypatch, status):
    name = {404: "getTicket", 409: "updateTicket"}.get(status, "createTicket")
    body = PROVOKE[status](call, name, monkeypatch).json()
    assert body in examples_of(OPERATIONS[name][2]["responses"][str(status)])


def test_describes_a_body_that_is_compressed(call):
    response = call("createTicket", **{"Content-Encoding": "gzip"})
    assert (response.status_code, response["Accept-Encoding"]) == (415, "identity")
    validate_answer(response, "createTicket")
    assert response.json() in examples_of(OPERATIONS["createTicket"][2]["responses"]["415"])


def test_shows_a_field_error_as_it_is(call):
    body = '{"type": "x", "reply_address": "ada@", "message": "x"}'
    response = call("createTicket", body=body)
    assert response.json() in examples_of(DOCUMENT["components"]["responses"]["BadRequest"])


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_describes_a_key_that_comes_again(call):
    key = {"Idempotency-Key": '"a quoted key"'}
    for _ in range(2):
        response = call("createTicket", **key)
        validate_answer(response, "createTicket")
    assert response["Idempotent-Replayed"] == "true"
    response = call(
        "createTicket", body='{"type": "x", "reply_address": "x", "message": "x"}', **key
    )
    assert response.status_code == 422
    validate_answer(response, "createTicket")
    assert response.json() in examples_of(OPERATIONS["createTicket"][2]["responses"]["422"])


def test_shows_the_refusal_of_useless_keys_as_it_is(call):
    answers = [call("createTicket", Authorization="Bearer x") for _ in range(LIMIT + 1)]
    assert answers[-1].status_code == 429
    validate_answer(answers[-1], "createTicket")
    assert answers[-1].json() in examples_of(DOCUMENT["components"]["responses"]["TooManyRequests"])


@pytest.mark.parametrize("name", ["listTickets", "listApiKeys"])
def test_describes_a_wrong_page(call, name):
    response = call(name, query="?page=0&per_page=101")
    assert [row["field"] for row in response.json()["details"]] == ["page", "per_page"]
    validate_answer(response, name)


@pytest.mark.parametrize("name", ["getHealth", "getLiveness"])
def test_describes_what_needs_no_key(client, name):
    _, path, operation = OPERATIONS[name]
    assert operation["security"] == []
    for method, status in (("GET", 200), ("POST", 405)):
        response = client.generic(method, path)
        assert response.status_code == status
        validate_answer(response, name)


def test_describes_a_database_that_is_away(client, monkeypatch):
    monkeypatch.setattr("ctxfy_support.health.check_database", lambda: "unavailable")
    response = client.get("/health")
    assert response.status_code == 503
    validate_answer(response, "getHealth")


@pytest.mark.parametrize("entry", ["mail", "workers", "inbox"])
def test_describes_a_health_check_that_fails(client, settings, entry):
    settings.HEALTH_CHECKS = settings.HEALTH_CHECKS | {entry: "no.such.check"}
    response = client.get("/health")
    assert response.json()[entry] == "error"
    validate_answer(response, "getHealth")


def patterns(resolver, prefix=""):
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route, entry
        elif not route.startswith("admin/"):
            yield from patterns(entry, route)


# What tells of the endpoints, and what leads there.
REFERENCE = {"", "docs", "docs/", "docs.md", "llms.txt", "openapi.json", "postman.json"}


def test_leaves_out_no_endpoint():
    served = {
        ("/" + re.sub(r"<\w+:pk>", "{id}", route), method)
        for route, entry in patterns(get_resolver())
        for method in getattr(entry.callback, "actions", {"get": ""})
        if method != "head" and route not in REFERENCE
        # Mail providers call these, in their own form.
        if not route.startswith("anymail/")
    }
    # What is for the operator stands in README.md.
    served |= {(path, "get") for path in VIEWS.keys() - {"/metrics"}}
    documented = {(path, method.lower()) for method, path, _ in OPERATIONS.values()}
    assert served == documented


def texts():
    for name, (_, _, operation) in OPERATIONS.items():
        for row in operation.get("parameters", []):
            if "maxLength" in row["schema"]:
                yield name, row["in"], row["name"], row["schema"]
    for name in WITH_BODY:
        content = OPERATIONS[name][2]["requestBody"]["content"]["application/json"]
        for field, schema in resolve(content["schema"])["properties"].items():
            if "maxLength" in schema:
                yield name, "body", field, schema


@pytest.mark.parametrize(("name", "place", "field", "schema"), list(texts()))
@pytest.mark.parametrize("extra", [0, 1])
def test_names_the_longest_text(call, name, place, field, schema, extra):
    text = "x" * (schema["maxLength"] + extra)
    good = 200 if name == "listTickets" else 201
    if place == "header":
        response = call(name, **{field: text})
    elif place == "query":
        response = call(name, query=f"?{field}={text}")
    else:
        content = OPERATIONS[name][2]["requestBody"]["content"]["application/json"]
        example = next(iter(content["examples"].values()))["value"]
        response = call(name, body=json.dumps(example | {field: text}))
    assert response.status_code == (400 if extra else good)


CHARACTERS = [chr(code) for code in (*range(0x20), 0x7F, 0x85, 0x9F, 0xA0, 0x2028, 0x1F600)]
C1_CONTROLS = {chr(code) for code in range(0x80, 0xA0)}
AROUND = ["{}", "x{}", "{}x", "x{}x", "x{}@", "x@{}"]


@pytest.mark.parametrize("name", WITH_BODY)
def test_agrees_with_the_code_on_every_character(call, name):
    call.key.user.plan.requests_per_minute = 10_000
    call.key.user.plan.save()
    content = OPERATIONS[name][2]["requestBody"]["content"]["application/json"]
    example = next(iter(content["examples"].values()))["value"]
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    validator = Draft202012Validator(schema, format_checker=FormatChecker(["email"]))
    fields = [
        field for operation, place, field, _ in texts() if (operation, place) == (name, "body")
    ]
    wrong = []
    for field, around, character in itertools.product(fields, AROUND, CHARACTERS):
        body = example | {field: around.format(character)}
        if "@" in around and field == "reply_address":
            continue  # JSON Schema's e-mail addresses are a matter of taste.
        accepted = call(name, body=json.dumps(body)).status_code == 201
        if character in C1_CONTROLS and not accepted:
            continue  # No pattern excludes these in every language.
        if accepted != validator.is_valid(body):
            wrong.append((field, body[field], accepted))
    assert wrong == []


def test_has_examples_that_it_allows():
    count = 0
    for part in walk(DOCUMENT):
        if "examples" in part and "schema" in part:
            for example in part["examples"].values():
                validate(example["value"], part["schema"])
                count += 1
        elif "example" in part and "schema" in part:
            validate(part["example"], part["schema"])
    assert count > 15


def test_says_who_answers_for_it():
    info = DOCUMENT["info"]
    # Each file of a generated client repeats it.
    assert 0 < len(info["description"]) < 200
    assert info["version"] == VERSION
    assert info["contact"] == {"name": "Ctxfy support", "url": "http://127.0.0.1:8000/docs"}
    assert info["license"]["identifier"] == "MIT"
    assert (PROJECT_DIRECTORY / "LICENSE").read_text().startswith("MIT License")


def test_tells_customers_nothing_of_the_operators_metrics(client):
    for path in ("/openapi.json", "/docs"):
        assert "metrics" not in client.get(path).text.lower()


# What languages and generated clients have named already.
TAKEN = {
    *("APIKey", "ApiError", "Client", "Configuration", "Error", "File", "Message", "Object"),
    *("Request", "Response"),
}


def test_names_schemas_so_that_no_client_collides():
    names = set(DOCUMENT["components"]["schemas"])
    assert not names & TAKEN
    # Go's constructors, and what generators name after an operation.
    assert not names & {f"New{name}" for name in names}
    operations = {name[0].upper() + name[1:] for name in OPERATIONS}
    endings = ("", "Body", "Data", "Error", "Params", "Request", "Response")
    assert not names & {name + ending for name in operations for ending in endings}
    assert len({name.lower() for name in names}) == len(names)


def find_answers():
    """Rows (address, schema) of all that a client reads, references followed."""
    for name, (_, _, operation) in OPERATIONS.items():
        for status, answer in operation["responses"].items():
            for content in resolve(answer).get("content", {}).values():
                yield from find_parts(f"{name} {status}", content["schema"])


def find_parts(address, schema):
    schema = resolve(schema)
    yield address, schema
    for field, inner in schema.get("properties", {}).items():
        yield from find_parts(f"{address} {field}", inner)
    if "items" in schema:
        yield from find_parts(address, schema["items"])


def test_lets_what_it_answers_grow():
    # Many clients refuse a whole answer for a value that its `enum` does not have.
    assert [address for address, schema in find_answers() if "enum" in schema] == []
    # Go's refuses it for a property that is neither named nor allowed; errors get none.
    closed = [
        address
        for address, schema in find_answers()
        if "properties" in schema and schema.get("additionalProperties") is not True
    ]
    assert closed
    assert not [address for address in closed if not re.match(r"\w+ [45]\d\d", address)]
    growing = {address for address, schema in find_answers() if "x-extensible-enum" in schema}
    assert {"createTicket 201 status", "getTicket 200 state", "listTickets 200 tickets state"} <= (
        growing
    )


def test_asks_for_texts_that_every_client_has_a_type_for():
    for name, _, field, schema in texts():
        assert schema["type"] in ("string", ["string", "null"]), (name, field)
        assert not {"anyOf", "oneOf", "allOf", "not"} & schema.keys(), (name, field)
        # Some language has none of these: look-around, `\u`, other letters than ASCII's.
        pattern = schema.get("pattern", "")
        assert not re.search(r"\(\?[=!<]|\\u|\\x[89a-f]", pattern), (name, field)
        assert pattern.isascii(), (name, field)


def test_shows_no_key_that_could_work():
    text = json.dumps(DOCUMENT)
    shown = re.findall(r"ctxfy_[0-9A-Za-z]{38}", text)
    assert shown
    assert not [secret for secret in shown if api_keys.is_well_formed(secret)]


def test_names_every_operation_once():
    names = [operation["operationId"] for _, _, operation in OPERATIONS.values()]
    assert len(set(names)) == len(names) == 13
    for _, path, operation in OPERATIONS.values():
        assert operation["tags"]
        assert operation["summary"]
        assert operation["description"]
        assert not path.endswith("/")


def test_passes_drf_spectaculars_own_check():
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", stdout=out)
    assert json.loads(out.getvalue()) == DOCUMENT


def test_is_served_to_everybody(client):
    client.get("/docs", headers={"Host": "localhost:8443"})
    response = client.get("/openapi.json", headers={"Host": "localhost:8443"})
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Access-Control-Allow-Origin"] == "*"
    document = response.json()
    assert document.pop("servers") == [{"url": "http://localhost:8443"}]
    assert document == {name: part for name, part in DOCUMENT.items() if name != "servers"}


def test_is_sent_again_only_when_it_has_changed(client):
    etag = client.get("/openapi.json")["ETag"]
    response = client.get("/openapi.json", headers={"If-None-Match": etag})
    assert (response.status_code, response.content) == (304, b"")


def test_costs_no_query(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get("/openapi.json")


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/postman.json", "/docs", "/docs.md", "/llms.txt"]
)
def test_refuses_another_method_and_a_strange_host(client, path):
    response = client.post(path)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert client.get(path, headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
@pytest.mark.parametrize("path", ["/", "/docs/"])
def test_leads_to_the_reference(client, path, accept):
    for method in ("GET", "HEAD"):
        response = client.generic(method, path, headers={"Accept": accept})
        assert (response.status_code, response["Location"]) == (302, "/docs")
    response = client.post(path)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")

"""Every answer under /v1/ is JSON in one envelope, whatever went wrong."""

import json
from http import HTTPStatus

import pytest
from django.db import OperationalError

from accounts.tests.factories import APIKeyFactory

pytestmark = pytest.mark.django_db


def check(response, status):
    body = response.json()
    assert response.status_code == body["code"] == status
    assert response["Content-Type"] == "application/json"
    assert response["X-Request-Id"].startswith("req_")
    assert list(body)[:3] == ["error", "message", "code"]
    assert ("requestId" in body) == (status >= 500)
    return body


@pytest.fixture
def bearer(db):
    return {"HTTP_AUTHORIZATION": f"Bearer {APIKeyFactory().secret}"}


@pytest.fixture(params=[False, True], ids=["production", "debug"])
def debug(request, settings):
    settings.DEBUG = request.param


@pytest.mark.parametrize(
    "path",
    [
        "/v1/",
        "/v1/nothing",
        "/v1/support/tickets/",
        "/v1/support/tickets.json",
        "/v1//support/tickets",
        "/v1/\x00",
        "/v1/%ff",
    ],
)
def test_unknown_path(client, debug, path):
    body = check(client.get(path), 404)
    assert body["message"] == "The requested resource was not found"


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_wrong_verb(client, debug, bearer, method):
    response = getattr(client, method)("/v1/support/tickets", **bearer)
    check(response, 405)
    assert "POST" in response["Allow"]


def test_strange_host(client, debug):
    check(client.get("/v1/support/tickets", headers={"Host": "evil.example"}), 400)


def test_crash(client, debug, bearer, monkeypatch):
    def crash(*args, **kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("support.api.views.Ticket.objects.submit", crash)
    client.raise_request_exception = False
    ticket = {"type": "x", "reply_address": "x", "message": "x"}
    response = client.post("/v1/support/tickets", ticket, content_type="application/json", **bearer)
    body = check(response, 500)
    assert body["message"] == "An unexpected error occurred on the server"
    assert body["requestId"] == response["X-Request-Id"]
    assert "secret detail" not in response.content.decode()


def test_database_away(client, debug, monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("password=hunter2")

    monkeypatch.setattr("accounts.authentication.admit", fail)
    response = client.post("/v1/support/tickets", headers={"Authorization": "Bearer x"})
    check(response, 503)
    assert int(response["Retry-After"]) >= 1
    assert "hunter2" not in response.content.decode()


ACCEPTED = [
    *("text/html", "*/*", "", " ", "application/json; q=0.5", "text/html, */*;q=0.8"),
    *("text/*", "application/*;q=0.001", "APPLICATION/JSON", "application/json;charset=utf-8"),
    *("application/json, */*;q=0", "*/*;q=0, application/*", "application/*;q=0,application/json"),
    *("application/json;q=0, application/json", "text/html;q=0, */*", "image/png;q=0, */*;q=0.1"),
    *("application/json;q=nonsense", "application/json;q=0.0001", "application/json;q=-0"),
]
REFUSED = [
    *("a", "image/png", "application/xml, image/*", ";;;", ";q=1", "application"),
    *("application/json;q=0", "application/json; Q = 0.000", "application/json;q=0."),
    *("application/json;q=0, */*", "application/json;q=0, text/html", "application/*;q=0, */*"),
    *("*/*;q=0", "text/html, */*;q=0", "application/*;q=0", "text/html;q=0", "text/*;q=0.0"),
    *("application/json;q=0;charset=utf-8", "application/json;q=0, application/json;q=0.00"),
]


@pytest.mark.parametrize(
    ("accept", "status"), [(a, 400) for a in ACCEPTED] + [(a, 406) for a in REFUSED]
)
def test_answers_json_unless_it_is_ruled_out(client, bearer, accept, status):
    response = client.post(
        "/v1/support/tickets", "{}", "application/json", headers={"Accept": accept}, **bearer
    )
    check(response, status)
    assert response["X-RateLimit-Remaining"] == "99"


@pytest.mark.parametrize("authorization", [{}, {"HTTP_AUTHORIZATION": "Bearer x"}])
def test_asks_who_is_there_before_what_is_accepted(client, authorization):
    response = client.get("/v1/api-keys", HTTP_ACCEPT="image/png", **authorization)
    check(response, 401)
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_asks_a_database_that_is_away_once(client, monkeypatch):
    asked = []

    def fail(*args, **kwargs):
        asked.append(args)
        raise OperationalError

    monkeypatch.setattr("accounts.authentication.admit", fail)
    headers = {"Accept": "image/png", "Authorization": "Bearer x"}
    check(client.get("/v1/api-keys", headers=headers), 503)
    assert len(asked) == 1


@pytest.mark.parametrize("path", ["/v1/support/tickets", "/v1/api-keys"])
@pytest.mark.parametrize(
    "coding", ["gzip", "GZIP", "br", "x", "identity, gzip", "gzip, identity", "deflate;q=0", "*"]
)
def test_takes_no_encoded_body(client, bearer, path, coding):
    response = client.post(
        path, "{}", "application/json", headers={"Content-Encoding": coding}, **bearer
    )
    assert "Content-Encoding" in check(response, 415)["message"]
    assert response["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["identity", "Identity", "", " , identity"])
def test_takes_a_body_that_says_that_it_is_not_encoded(client, bearer, coding):
    response = client.post(
        "/v1/api-keys", "{}", "application/json", headers={"Content-Encoding": coding}, **bearer
    )
    assert response.status_code == 201


def test_minds_no_encoding_where_there_is_no_body(client, bearer):
    headers = {"Content-Encoding": "gzip"}
    assert client.get("/v1/api-keys", headers=headers, **bearer).status_code == 200
    assert client.generic("POST", "/v1/api-keys", headers=headers, **bearer).status_code == 201


def test_takes_null_for_an_empty_object(client, bearer):
    answers = [
        client.post("/v1/support/tickets", body, "application/json", **bearer)
        for body in ("{}", "null", " null\n")
    ]
    empty, *nulls = [check(answer, 400) for answer in answers]
    assert empty["details"]
    assert nulls == [empty, empty]
    assert client.post("/v1/api-keys", "null", "application/json", **bearer).status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ],
)
def test_takes_json_alone(client, bearer, content_type):
    body = json.dumps({"type": "x", "reply_address": "x", "message": "x"})
    check(client.generic("POST", "/v1/support/tickets", body, content_type, **bearer), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b"[" * 990 + b"]" * 990,
        b'{"type": "x", "type": "y"}',
        b'{"type": NaN}',
        b'{"type": Infinity}',
        b'{"type": 1' + b"0" * 5_000 + b"}",
        b"\xef\xbb\xbf{}",
        '{"type": "x"}'.encode("utf-16"),
        b'{"type": "\xff"}',
        b'{"type": "\xed\xa0\x80"}',
        b"{'type': 'x'}",
    ],
)
def test_malformed_body(client, bearer, body):
    check(client.generic("POST", "/v1/support/tickets", body, "application/json", **bearer), 400)


def test_body_over_the_bound(client, bearer):
    body = b'{"message": "' + b"x" * 256 * 1024 + b'"}'
    check(client.generic("POST", "/v1/support/tickets", body, "application/json", **bearer), 413)
    check(client.generic("POST", "/v1/support/tickets", body, "application/json"), 401)


@pytest.mark.parametrize(
    ("status", "phrase"), [(413, "Request Entity Too Large"), (404, "Not Found")]
)
def test_calls_a_status_the_same_under_every_python(client, bearer, monkeypatch, status, phrase):
    monkeypatch.setattr(HTTPStatus(status), "phrase", "What the next Python calls it")
    path = "/v1/support/tickets" if status == 413 else "/v1/nothing"
    body = b'{"message": "' + b"x" * 256 * 1024 + b'"}'
    response = client.generic("POST", path, body, "application/json", **bearer)
    assert check(response, status)["error"] == response.reason_phrase == phrase

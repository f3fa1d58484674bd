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


@pytest.mark.parametrize(
    "accept", ["text/html", "*/*", "", "application/json; q=0.5", "text/html, */*;q=0.8", "a"]
)
def test_answers_json_whatever_is_asked_for(client, bearer, accept):
    response = client.post(
        "/v1/support/tickets", "{}", "application/json", headers={"Accept": accept}, **bearer
    )
    check(response, 406 if accept == "a" else 400)


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

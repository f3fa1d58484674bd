"""The same security headers on every answer under /v1/, whoever makes it."""

import json

import pytest
from django.db import OperationalError

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.tests.processes import run_command

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"
EXPECTED = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# No endpoint and no middleware of ours sees this one.
LAST_RESORT = """
import json
from ctxfy_support.wsgi import application
application({}, lambda status, headers: print(json.dumps([status, headers])))
"""


@pytest.fixture
def get(client):
    key = APIKeyFactory()
    client.raise_request_exception = False

    def get(path=PATH, **headers):
        headers = {"Authorization": f"Bearer {key.secret}"} | headers
        return client.get(path, headers=headers, secure=True)

    return get


@pytest.fixture(params=[False, True], ids=["production", "debug"], autouse=True)
def debug(request, settings):
    settings.DEBUG = request.param


def check(response, status):
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in EXPECTED} == EXPECTED


def fail_with(error):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/nothing", "/openapi.json", "/docs", "/docs.md", "/admin/"]
)
@pytest.mark.parametrize("method", ["get", "trace"])
def test_has_a_policy_on_every_part_of_the_service(client, path, method):
    policy = getattr(client, method)(path)["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy)


def test_on_an_answer(get):
    check(get(), 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Accept": "image/png"}, 406),
        ({"Host": "evil.example"}, 400),
    ],
)
def test_on_a_refusal(get, headers, status):
    check(get(**headers), status)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", f"{PATH}/", f"{PATH}/x"])
def test_on_what_is_not_there(get, path):
    check(get(path), 404)


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, 500), (OperationalError, 503)])
def test_on_an_endpoint_that_fails(get, monkeypatch, error, status):
    monkeypatch.setattr("rest_framework.views.APIView.initial", fail_with(error))
    check(get(), status)


@pytest.mark.parametrize(
    "middleware",
    [
        "ctxfy_support.metrics.MetricsMiddleware",
        "ctxfy_support.envelope.ErrorEnvelopeMiddleware",
        "ctxfy_support.transport_security.TransportSecurityMiddleware",
        "accounts.middleware.AccountMiddleware",
        "ctxfy_support.front_doors.APIDoor",
    ],
)
def test_on_a_middleware_that_fails(get, monkeypatch, middleware):
    monkeypatch.setattr(f"{middleware}.__call__", fail_with(RuntimeError))
    check(get(), 500)


def test_on_plain_http(client, settings):
    settings.DEBUG = False
    response = client.get(PATH, REMOTE_ADDR="192.0.2.1")
    assert response.status_code == 403
    expected = EXPECTED | {"Strict-Transport-Security": None}
    assert {name: response.headers.get(name) for name in EXPECTED} == expected


def test_on_a_request_that_cannot_even_be_read():
    done = run_command("shell", "-v0", "-c", LAST_RESORT, env={"DATABASE_URL": "sqlite://:memory:"})
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    status, headers = json.loads(lines[-1])
    assert status.startswith("500")
    assert EXPECTED.items() <= dict(headers).items()

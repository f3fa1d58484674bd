"""No key in the clear: what plain HTTP is told, and whose word counts."""

from ipaddress import ip_network

import pytest

from ctxfy_support.tests.processes import run_command

pytestmark = pytest.mark.django_db

STRANGER = {"REMOTE_ADDR": "192.0.2.1"}


@pytest.fixture
def proxy(settings):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    return {"REMOTE_ADDR": "10.1.2.3", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}


def test_refuses_plain_http_under_v1(client):
    response = client.get("/v1/support/tickets", **STRANGER)
    assert response.status_code == 403
    assert "HTTPS" in response.json()["message"]
    assert "Location" not in response


def test_redirects_the_back_office(client):
    response = client.get("/admin/?a=b", headers={"Host": "localhost"}, **STRANGER)
    assert response.status_code == 301
    assert response["Location"] == "https://localhost/admin/?a=b"


def test_redirects_to_no_strange_host(client):
    response = client.get("/admin/", headers={"Host": "evil.example"}, **STRANGER)
    assert response.status_code == 400
    assert "Location" not in response


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics"])
def test_lets_probes_in(client, path):
    assert client.get(path, **STRANGER).status_code == 200


def test_lets_this_machine_in(client):
    assert client.get("/v1/support/tickets").status_code == 401


def test_believes_our_proxy(client, proxy):
    response = client.get("/v1/support/tickets", HTTP_X_FORWARDED_PROTO="https", **proxy)
    assert response.status_code == 401
    assert response["Strict-Transport-Security"] == "max-age=31536000"


def test_refuses_what_reached_our_proxy_in_the_clear(client, proxy):
    response = client.get("/v1/support/tickets", HTTP_X_FORWARDED_PROTO="http", **proxy)
    assert response.status_code == 403


def test_refuses_a_proxy_that_says_nothing(client, settings):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    assert client.get("/v1/support/tickets").status_code == 403


def test_believes_no_stranger(client, proxy):
    response = client.get("/v1/support/tickets", HTTP_X_FORWARDED_PROTO="https", **STRANGER)
    assert response.status_code == 403


def test_keeps_answers_out_of_caches_and_frames(client):
    response = client.get("/v1/support/tickets", secure=True)
    assert response["Cache-Control"] == "no-store"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert "Strict-Transport-Security" in response


def test_passes_djangos_deployment_checks():
    env = {"DATABASE_URL": "sqlite:///:memory:", "ALLOWED_HOSTS": "support.example.com"}
    done = run_command("check", "--deploy", "--fail-level", "WARNING", env=env)
    assert done.returncode == 0, done.stderr

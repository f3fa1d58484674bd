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


@pytest.mark.parametrize("value", ["http", ""])
@pytest.mark.parametrize(
    "name",
    ["X_FORWARDED_FOR", "X_FORWARDED_PROTO", "X_FORWARDED_HOST", "X_REAL_IP", "FORWARDED", "VIA"],
)
def test_does_not_take_an_unnamed_proxy_for_this_machine(client, name, value):
    header = {f"HTTP_{name}": value}
    assert client.get("/v1/support/tickets", **header).status_code == 403
    assert client.get("/admin/", **header).status_code == 301


def test_warns_once_of_an_unnamed_proxy(client, caplog):
    for _ in range(3):
        client.get("/v1/support/tickets", HTTP_X_FORWARDED_PROTO="https")
    (warning,) = [row.getMessage() for row in caplog.records if row.levelname == "WARNING"]
    assert "TRUSTED_PROXIES=127.0.0.1" in warning


@pytest.mark.parametrize("peer", ["10.1.2.3", "2a00::1"])
def test_warns_of_no_named_proxy_and_no_stranger(client, proxy, caplog, peer):
    client.get("/v1/support/tickets", HTTP_X_FORWARDED_PROTO="https", REMOTE_ADDR=peer)
    assert "TRUSTED_PROXIES" not in caplog.text


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

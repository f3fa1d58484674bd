"""/health: what a load balancer and an operator ask."""

import pytest
from django.db import OperationalError, connection

from ctxfy_support import VERSION
from support.delivery.breaker import breaker
from support.mail_channel import MailChannel, channel_name

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_database():
    def fail(execute, sql, params, many, context):
        raise OperationalError("away")

    with connection.execute_wrapper(fail):
        yield


def test_says_that_all_is_well(client):
    response = client.get("/health")
    assert (response.status_code, response["Cache-Control"].split(",")[0]) == (200, "max-age=0")
    assert response.json() == {
        "status": "ok",
        "version": VERSION,
        "database": "ok",
        "mail": "not configured",
        "workers": "not configured",
        "inbox": "not configured",
    }


def test_says_that_the_database_is_away(client, no_database):
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "version": VERSION,
        "database": "unavailable",
    }


def test_takes_tickets_while_mail_is_down(client, settings):
    settings.SUPPORT_EMAIL, settings.SUPPORT_EMAIL_SENDER = "support@example.com", "console"
    MailChannel.objects.create(name=channel_name(), failing_since="2026-01-01T00:00:00Z")
    breaker.__init__()
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "version": VERSION,
        "database": "ok",
        "mail": "failing",
        "workers": "not needed",
        "inbox": "not configured",
    }


def test_says_that_a_check_failed(client, settings, caplog):
    """Its word is missing, the others' are not, and tickets are still taken."""
    settings.HEALTH_CHECKS = settings.HEALTH_CHECKS | {"mail": "no.such.check"}
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "version": VERSION,
        "database": "ok",
        "mail": "error",
        "workers": "not configured",
        "inbox": "not configured",
    }
    assert "The health check of mail failed" in caplog.text


def test_is_alive_without_a_database(client, no_database):
    response = client.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics"])
def test_only_reads(client, path):
    assert client.post(path).status_code == 405
    assert client.head(path).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics"])
def test_answers_whatever_address_it_is_asked_by(client, path):
    assert client.get(path, headers={"Host": "10.0.0.5:8000"}).status_code == 200

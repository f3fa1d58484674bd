"""Log lines: JSON, with the request's id, and no secret in them."""

import json
import logging
import sys

import pytest
import requests

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.logs import JSONFormatter, TextFormatter

TICKET = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice."}


def format_line(formatter, message, *arguments):
    record = logging.LogRecord("x", logging.INFO, __file__, 1, message, arguments, None)
    return formatter.format(record)


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_holds_no_credential(settings, formatter):
    settings.ANYMAIL = {**settings.ANYMAIL, "SENDGRID_API_KEY": "SG.very-secret"}
    settings.EMAIL_HOST_PASSWORD = "app-password"
    key = "ctxfy_" + "a1B2" * 9 + "xy"
    line = format_line(
        formatter, "%s Bearer abc.def Basic YTpi SG.very-secret app-password", {"key": key}
    )
    for secret in (key, key[6:], "abc.def", "YTpi", "SG.very-secret", "app-password"):
        assert secret not in line


@pytest.mark.django_db(transaction=True)
def test_carries_the_request_id_on_every_line(service):
    secret = APIKeyFactory().secret
    running = service()
    headers = {"Authorization": f"Bearer {secret}"}
    answer = requests.post(
        f"{running.url}/v1/support/tickets", json=TICKET, headers=headers, timeout=10
    )
    assert answer.status_code == 201
    missing = requests.get(f"{running.url}/v1/x?key={secret}", headers=headers, timeout=10)
    running.stop()
    lines = [json.loads(line) for line in running.output.splitlines() if line.startswith("{")]
    by_id = {line["request_id"]: line for line in lines if line.get("status")}
    assert by_id[answer.headers["X-Request-Id"]]["path"] == "/v1/support/tickets"
    assert by_id[missing.headers["X-Request-Id"]]["status"] == 404
    assert secret not in running.output


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("debug", ["false", "true"])
@pytest.mark.parametrize("character", ["x", "%ff"])
def test_is_bounded_whatever_a_client_sends(service, debug, character):
    running = service(DEBUG=debug)
    started = len(running.output)
    # About as long as the web server lets a head be.
    long = character * (30_000 // len(character))
    for path, name, value in [
        (f"/v1/{long}", "Accept", "*/*"),
        (f"/admin/{long}", "Accept", "*/*"),
        ("/v1/api-keys", "Host", long),
        ("/v1/api-keys", "Authorization", f"Bearer {long}"),
        (f"/v1/api-keys?page={long[:12_000]}", "Idempotency-Key", long[:12_000]),
    ]:
        requests.get(f"{running.url}{path}", headers={name: value}, timeout=10)
    running.stop()
    logged = running.output[started:]
    assert logged.count("/v1/api-keys") >= 3
    assert len(logged) < 40_000


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_shortens_an_exception_that_quotes_the_request(formatter):
    secret = "ctxfy_" + "a1B2" * 9 + "xy"
    try:
        raise ValueError("x" * 60_000 + secret)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "m", (), sys.exc_info())
    line = formatter.format(record)
    assert len(line) < 25_000
    assert "ValueError" in line
    assert secret not in line


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_leaves_no_half_of_a_secret_where_it_cuts(formatter):
    secret = "ctxfy_" + "a1B2" * 9 + "xy"
    for place in range(420, 560, 7):
        assert "a1B2" not in format_line(formatter, "%s", "y" * place + f" {secret}" + "z" * 2_000)

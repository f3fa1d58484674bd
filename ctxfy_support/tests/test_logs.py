"""Log lines: JSON, with the request's id, and no secret in them."""

import json
import logging

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

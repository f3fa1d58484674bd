"""Log lines: JSON, with the request's id, and no secret in them."""

import json
import logging
import os
import signal
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
import requests

from accounts.tests.factories import APIKeyFactory
from ctxfy_support import VERSION
from ctxfy_support.logs import JSONFormatter, TextFormatter
from ctxfy_support.tests.processes import (
    PROJECT_DIRECTORY,
    CommandProcess,
    ServiceProcess,
    make_environment,
    run_command,
)
from support.models import Ticket
from support.tests.factories import TicketFactory

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


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
FORWARDED = {"X-Forwarded-For": "2001:db8:1:2:3::4", "X-Forwarded-Proto": "https"}


def read_lines(output):
    return [json.loads(line) for line in output.splitlines() if line]


def get_line(running, answer):
    """The line of the request that this is the answer to."""
    name = answer.headers["X-Request-Id"]
    [line] = [row for row in read_lines(running.output) if row["request_id"] == name]
    return line


@pytest.mark.django_db(transaction=True)
def test_says_whose_request_it_was(service):
    key = APIKeyFactory()
    running = service(TRUSTED_PROXIES="127.0.0.1", ALLOWED_HOSTS="127.0.0.1")
    headers = {**FORWARDED, "Authorization": f"Bearer {key.secret}"}
    ids = {"X-Request-Id": "edge-1f", "traceparent": TRACEPARENT}
    tickets = f"{running.url}/v1/support/tickets"
    made = requests.post(tickets, json=TICKET, headers=headers | ids, timeout=10)
    ticket_id = made.json()["id"]
    line = get_line(running, made)
    assert {name: line.get(name) for name in WHOSE} == {
        "ticket_id": ticket_id,
        "account_id": key.user_id,
        "key_prefix": key.key_prefix,
        "client_network": "2001:db8:1:2::/64",
        "proxy_request_id": "edge-1f",
        "trace_id": TRACE,
        "version": VERSION,
    }
    for path in (f"/{ticket_id}", f"/{ticket_id}/messages"):
        read = requests.get(f"{tickets}{path}", headers=headers, timeout=10)
        line = get_line(running, read)
        assert (line["ticket_id"], "trace_id" in line) == (ticket_id, False)
    # The ids are a client's where its address is: in front of the proxy, and not behind it.
    direct = service(ALLOWED_HOSTS="127.0.0.1")
    answer = requests.get(f"{direct.url}/health", headers=ids, timeout=10)
    assert {"trace_id", "proxy_request_id"}.isdisjoint(get_line(direct, answer))


WHOSE = (
    *("ticket_id", "account_id", "key_prefix", "client_network"),
    *("proxy_request_id", "trace_id", "version"),
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("X-Request-Id", "two words", "proxy_request_id"),
        ("X-Request-Id", "one,two", "proxy_request_id"),
        ("X-Request-Id", "x" * 129, "proxy_request_id"),
        ("X-Request-Id", "\n{}", "proxy_request_id"),
        ("traceparent", TRACEPARENT.upper(), "trace_id"),
        ("traceparent", f"{TRACEPARENT}-00", "trace_id"),
        ("traceparent", TRACEPARENT.replace(TRACE, "0" * 32), "trace_id"),
        ("traceparent", f"ff{TRACEPARENT[2:]}", "trace_id"),
        ("traceparent", f"{TRACEPARENT},{TRACEPARENT}", "trace_id"),
        ("traceparent", f"01{TRACEPARENT[2:]}-{'x' * 201}", "trace_id"),
    ],
)
def test_takes_no_id_that_is_none(client, settings, capture_line, name, value, field):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    client.get("/health", headers={name: value})
    assert field not in capture_line()


@pytest.mark.django_db
def test_takes_a_later_traceparent(client, settings, capture_line):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    client.get("/health", headers={"traceparent": f"01{TRACEPARENT[2:]}-more"})
    assert capture_line()["trace_id"] == TRACE


@pytest.mark.django_db
def test_leaves_no_secret_that_a_proxy_passes_on(client, settings, capture_line):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    client.get("/health", headers={"X-Request-Id": "ctxfy_" + "a1B2" * 9 + "xy"})
    assert "a1B2" not in json.dumps(capture_line())


@pytest.fixture
def capture_line():
    """`capture_line()`: the line of the last request, as this process would have written it."""
    handler, formatter, lines = logging.Handler(), JSONFormatter(), []
    handler.emit = lambda record: lines.append(json.loads(formatter.format(record)))
    logging.getLogger("ctxfy_support.request_id").addHandler(handler)
    yield lambda: lines[-1]
    logging.getLogger("ctxfy_support.request_id").removeHandler(handler)


@pytest.mark.django_db
def test_says_which_agent_it_was_without_asking(
    admin_client, admin_user, capture_line, django_assert_num_queries
):
    ticket = TicketFactory()
    admin_client.get(f"/admin/support/ticket/{ticket.pk}/change/")
    line = capture_line()
    assert (line["account_id"], line["ticket_id"]) == (admin_user.pk, str(ticket.pk))
    with django_assert_num_queries(0):
        admin_client.get("/docs")
    assert "account_id" not in capture_line()


@pytest.mark.django_db(transaction=True)
def test_is_json_whatever_happens(process_env):
    env = process_env | {"SUPPORT_EMAIL": "support@example.com", "ALLOWED_HOSTS": "127.0.0.1"}
    with ServiceProcess(env=env, processes=2) as running:
        for request in (
            b"\x16\x03\x01 no HTTP\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        ):
            running.send_raw(request)
        requests.get(running.url, headers={"Host": "elsewhere"}, timeout=10)
        [child, *_] = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        running.wait_for_output("has died")
        running.stop()
        lines = read_lines(running.output)
    assert all({"time", "level", "logger", "message", "version"} <= line.keys() for line in lines)
    assert any("support.W001" in line["message"] for line in lines)


UNCAUGHT = """
import threading, warnings
import django; django.setup()
from ctxfy_support.start import log_what_nobody_catches
log_what_nobody_catches()
warnings.warn("a warning")
thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
class Thing:
    def __del__(self): raise KeyError("of no use")
Thing()
raise ValueError("the last word")
"""


def test_is_json_where_nobody_catches_an_exception():
    env = make_environment({"DJANGO_SETTINGS_MODULE": "ctxfy_support.settings"})
    ended = subprocess.run(
        [sys.executable, "-c", UNCAUGHT],
        env=env,
        cwd=PROJECT_DIRECTORY,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = read_lines(ended.stderr)
    assert ended.returncode == 1
    assert [line["level"] for line in lines] == ["WARNING", "ERROR", "ERROR", "CRITICAL"]
    assert "the last word" in lines[-1]["exception"]


@pytest.mark.django_db(transaction=True)
def test_names_ticket_and_request_in_the_worker(process_env, scripted_smtp_server):
    env = process_env | scripted_smtp_server.env
    key = APIKeyFactory()
    headers = {"Authorization": f"Bearer {key.secret}"}
    with ServiceProcess(env=env | {"SUPPORT_EMAIL_DELIVERY": "background"}) as running:
        made = requests.post(
            f"{running.url}/v1/support/tickets", json=TICKET, headers=headers, timeout=10
        )
    with CommandProcess("resend_failed_emails", "--watch", env=env) as worker:
        worker.wait_for_output("was accepted")
        worker.stop()
        # The last line is for whoever runs it by hand.
        *lines, counts = worker.output.splitlines()
    [line] = [row for row in map(json.loads, lines) if "was accepted" in row["message"]]
    assert counts == "sent=1 pending=0 failed=0"
    assert line["ticket_id"] == made.json()["id"]
    assert line["request_id"] == made.headers["X-Request-Id"]
    assert Ticket.objects.get().stored_by_request == made.headers["X-Request-Id"]


@pytest.mark.parametrize(("level", "count"), [("INFO", 1), ("WARNING", 0)])
def test_says_no_more_than_it_is_told(level, count):
    said = run_command(
        *(
            "shell",
            "-v",
            "0",
            "-c",
            "import logging; logging.getLogger('django.x').info('django says')",
        ),
        env={"LOG_LEVEL": level},
    )
    assert said.stderr.count("django says") == count

"""R5: the database stops, is killed, hangs, is locked. Always 503 JSON, and back at once."""

import itertools
import re
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests
from django.db import connection

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.tests.chaos import prepare
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import ServiceProcess

# For an answer on a busy machine; what hangs would take for ever. `make chaos` measures how long.
LONGEST_SECONDS = 30
TICKET = {"type": "billing", "reply_address": "x", "message": "x"}


def post(service, secret):
    with requests.post(
        f"{service.url}/v1/support/tickets",
        json=TICKET,
        # An answer that is kept would keep its connection.
        headers={"Authorization": f"Bearer {secret}", "Connection": "close"},
        timeout=LONGEST_SECONDS,
    ) as answer:
        return answer


def check_unavailable(answer):
    assert answer.status_code == 503, answer.text
    body = answer.json()
    assert body["code"] == 503
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.fixture(scope="module")
def postgres():
    with PostgresServer(tcp=True) as server:
        yield server


@pytest.fixture(scope="module")
def on_postgres(postgres):
    """(the service on a server of its own, a working key)"""
    env = {"DATABASE_URL": postgres.url}
    secret = prepare(env["DATABASE_URL"])
    with ServiceProcess(env=env) as service:
        yield service, secret


def answers_again(service, secret):
    """Whether a 201 comes before very long."""
    end = time.monotonic() + LONGEST_SECONDS
    while post(service, secret).status_code != 201:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("outage", ["stop", "kill"])
def test_says_so_and_is_back_at_once(postgres, on_postgres, outage):
    service, secret = on_postgres
    assert post(service, secret).status_code == 201
    getattr(postgres, outage)()
    try:
        check_unavailable(post(service, secret))
        health = requests.get(f"{service.url}/health", timeout=LONGEST_SECONDS)
        assert health.status_code == 503
        page = requests.get(
            f"{service.url}/admin/", cookies={"sessionid": "x" * 32}, timeout=LONGEST_SECONDS
        )
        assert (page.status_code, int(page.headers["Retry-After"])) == (503, 5)
        assert "The database does not answer" in page.text
        scraped = requests.get(f"{service.url}/metrics", timeout=10)
        assert (scraped.status_code, "support_database_up 0" in scraped.text) == (200, True)
    finally:
        postgres.start()
    assert answers_again(service, secret)


def test_answers_nothing_else_through_restarts_under_load(postgres, on_postgres):
    service, secret = on_postgres
    answers, is_over = [], threading.Event()
    more = threading.Condition()

    def load(_):
        while not is_over.is_set():
            answer = post(service, secret)
            with more:
                answers.append(answer)
                more.notify_all()

    def wait_for_tickets():
        """Return once twenty more have been stored."""
        with more:
            seen = len(answers)
            new = lambda: [a for a in itertools.islice(answers, seen, None) if a.ok]  # noqa: E731
            assert more.wait_for(lambda: len(new()) >= 20, LONGEST_SECONDS)

    with ThreadPoolExecutor(8) as threads:
        running = threads.map(load, range(8))
        try:
            for _ in range(3):
                wait_for_tickets()
                postgres.restart()
            wait_for_tickets()
        finally:
            is_over.set()
        list(running)
    stored = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer.status_code != 201:
            check_unavailable(answer)
    assert stored
    listed = requests.get(
        f"{service.url}/v1/support/tickets/{stored[-1]}",
        headers={"Authorization": f"Bearer {secret}"},
        timeout=10,
    )
    assert listed.status_code == 200


def test_does_not_hang_with_a_database_that_does(postgres, on_postgres):
    service, secret = on_postgres
    assert post(service, secret).status_code == 201
    postgres.pause()
    try:
        check_unavailable(post(service, secret))
    finally:
        postgres.resume()
    assert answers_again(service, secret)


@pytest.fixture(scope="module")
def on_logging_postgres():
    """(its server, the service with one thread, a working key)"""
    with PostgresServer(tcp=True, log_statement="all", log_line_prefix="") as server:
        env = {"DATABASE_URL": server.url}
        secret = prepare(env["DATABASE_URL"])
        with ServiceProcess(env=env, threads=1) as service:
            yield server, service, secret


def statements_since(server, length):
    """What the server was asked since its log had that length, but for the metrics' flush."""
    said = re.split(r"^LOG:  (?:execute \S+|statement): ", server.log[length:], flags=re.MULTILINE)
    return [statement for statement in said[1:] if "INTO metrics" not in statement]


def test_costs_two_statements_and_no_question_whether_the_connection_lives(on_logging_postgres):
    server, service, secret = on_logging_postgres
    for _ in range(3):
        assert post(service, secret).status_code == 201
    length = len(server.log)
    assert post(service, secret).status_code == 201
    first, second = statements_since(server, length)
    assert "accounts_apikey" in first
    assert "accounts_requestcount" in first
    assert "INSERT INTO support_tickets" in second


def test_repeats_the_first_statement_where_the_kept_connection_has_died(on_logging_postgres):
    server, service, secret = on_logging_postgres
    assert post(service, secret).status_code == 201
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    length = len(server.log)
    assert post(service, secret).status_code == 201
    asked = "".join(statements_since(server, length))
    assert asked.count("INSERT INTO support_tickets") == 1


@pytest.mark.django_db(transaction=True)
def test_says_so_while_sqlite_is_locked(service):
    if connection.vendor != "sqlite":
        pytest.skip("SQLite only")
    secret, running = APIKeyFactory().secret, service()
    lock = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        check_unavailable(post(running, secret))
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert post(running, secret).status_code == 201

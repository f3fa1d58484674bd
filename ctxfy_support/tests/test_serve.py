"""`manage.py serve`: who finishes nothing stops nobody else, and SIGTERM loses nothing."""

import contextlib
import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from django.db import connection

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.tests.attacks import KINDS, Attack
from ctxfy_support.tests.hostile import parse_answer
from ctxfy_support.tests.loopback import HOST, free_port
from ctxfy_support.tests.processes import (
    PROJECT_DIRECTORY,
    ServiceProcess,
    database_url,
    make_environment,
)

CLIENTS = 40
REQUEST_SECONDS = 2.0
PATH = "/v1/support/tickets"
TICKET = {"type": "x", "reply_address": "x", "message": "x"}


@pytest.fixture(scope="module")
def shared_service(django_db_setup, django_db_blocker):
    """One service for all tests that leave it as it was."""
    with django_db_blocker.unblock():
        env = {"DATABASE_URL": database_url(connection.settings_dict)}
    arguments = ("--request-seconds", str(REQUEST_SECONDS))
    with ServiceProcess(env=env, threads=2, arguments=arguments) as service:
        yield service


@pytest.fixture
def service(transactional_db, shared_service):
    return shared_service


@pytest.fixture
def start(process_env):
    """Start the service with these options of its command, two threads in each process."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, processes=1, descriptors=None):
            service = ServiceProcess(
                env=process_env, processes=processes, threads=2, arguments=arguments
            )
            if descriptors:
                limit = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"]
                service.command = [*limit, *service.command]
            return stack.enter_context(service)

        yield start


def post(service, key, timeout=30):
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{service.url}{PATH}", json=TICKET, headers=headers, timeout=timeout)


def connect(service, data=b""):
    client = socket.create_connection((HOST, service.port), timeout=30)
    client.sendall(data)
    return client


def receive(client):
    with client:
        return b"".join(iter(lambda: client.recv(65_536), b""))


def find_statuses(answers):
    return re.findall(rb"HTTP/1\.1 (\d{3})", answers)


def make_head(key, *headers):
    lines = [f"POST {PATH} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*lines, *headers, "", ""]).encode()


@pytest.mark.django_db(transaction=True)
class TestUnfinishedRequests:
    @pytest.mark.parametrize("kind", KINDS)
    def test_stop_no_good_client(self, service, kind):
        key = APIKeyFactory().secret
        with Attack(service, kind, CLIENTS):
            assert post(service, key, timeout=1.5 * REQUEST_SECONDS).status_code == 201

    def test_without_a_key_are_answered_at_once(self, start):
        service = start("--request-seconds", "60")
        for headers in (["Transfer-Encoding: chunked"], ["Content-Length: 500"]):
            answer = receive(connect(service, make_head("", *headers) + b"2\r\n{"))
            status, received, _ = parse_answer(answer)
            assert (status, received["connection"]) == (401, "close")

    def test_with_a_key_are_given_up_in_time(self, service):
        key = APIKeyFactory().secret
        for headers in (["Transfer-Encoding: chunked"], ["Content-Length: 500"]):
            status, _, body = parse_answer(receive(connect(service, make_head(key, *headers))))
            assert status == 400
            assert b"in time" in body

    def test_with_keys_leave_a_thread_to_others(self, start):
        service, key = start("--request-seconds", "60"), APIKeyFactory().secret
        slow = [connect(service, make_head(key, "Content-Length: 500")) for _ in range(5)]
        assert post(service, key).status_code == 201
        for client in slow:
            client.close()

    def test_of_other_pages_are_given_up_in_time(self, service):
        for first, _ in (KINDS["dripping log-in bodies"], KINDS["half heads"]):
            status, _, _ = parse_answer(receive(connect(service, first)))
            assert status == 408

    def test_are_given_up_in_time_behind_others(self, service):
        first = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        answers = receive(connect(service, first * 3 + b"GET / HT"))
        assert find_statuses(answers) == [b"200"] * 3 + [b"408"]

    def test_make_room_for_new_connections(self, start):
        service = start(descriptors=400)
        with Attack(service, "idle connections", 500):
            for _ in range(5):
                assert requests.get(f"{service.url}/health", timeout=30).status_code == 200


@pytest.mark.django_db(transaction=True)
class TestHTTP:
    def test_waits_with_continue_until_the_key_is_known(self, service):
        key = APIKeyFactory().secret
        expect = ("Content-Length: 2", "Expect: 100-continue")
        refused = receive(connect(service, make_head("", *expect)))
        assert refused.startswith(b"HTTP/1.1 401")
        client = connect(service, make_head(key, *expect))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
        client.close()

    def test_lets_a_client_finish_sending_what_nobody_reads(self, service):
        head = make_head(APIKeyFactory().secret, "Content-Length: 3000000")
        answer = service.send_raw(head + b"a" * 3_000_000, seconds=30)
        assert parse_answer(answer)[0] == 413

    def test_keeps_a_connection_and_answers_in_order(self, service):
        first = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        second = "GET /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        answers = service.send_raw((first * 3 + second).encode())
        assert find_statuses(answers) == [b"200"] * 3 + [b"404"]

    def test_answers_what_came_before_what_it_refuses(self, service):
        first = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        answers = service.send_raw(first * 2 + b"GET / HTTP/1.1 x\r\n\r\n")
        assert find_statuses(answers) == [b"200", b"200", b"400"]

    def test_answers_a_head_without_a_body(self, service):
        client = http.client.HTTPConnection(HOST, service.port, timeout=30)
        for _ in range(2):
            client.request("HEAD", "/health/live")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
        client.close()

    def test_sends_a_file_whole(self, service):
        url = f"{service.url}/static/ctxfy_support/reference.js"
        with (PROJECT_DIRECTORY / "ctxfy_support/static/ctxfy_support/reference.js").open(
            "rb"
        ) as f:
            assert requests.get(url, timeout=30).content == f.read()

    @pytest.mark.parametrize(
        ("request_line", "status"),
        [
            (b"GET / HTTP/1.1 x\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, 431),
            (b"POST /admin/login/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
             + b"a" * 2_700_000, 413),
            (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ],
    )  # fmt: skip
    def test_refuses_in_json(self, service, request_line, status):
        answered, headers, body = parse_answer(service.send_raw(request_line, seconds=30))
        assert answered == status
        assert headers["content-type"] == "application/json"
        assert b'"code":%d' % status in body

    def test_goes_on_after_an_upgrade_that_it_does_not_speak(self, service):
        request = (
            b"GET /health/live HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
        )
        assert service.send_raw(request).startswith(b"HTTP/1.1 200")


class TestSigterm:
    @pytest.mark.django_db(transaction=True)
    def test_answers_what_is_in_flight(self, start):
        service, key = start(), APIKeyFactory().secret
        answers = []
        with hold_database():
            asking = threading.Thread(target=lambda: answers.append(post(service, key)))
            asking.start()
            time.sleep(0.5)
            os.kill(service.pid, signal.SIGTERM)
            time.sleep(0.3)
        asking.join()
        assert (answers[0].status_code, answers[0].headers["Connection"]) == (201, "close")
        assert service.wait(10) == 0

    @pytest.mark.django_db(transaction=True)
    def test_ends_in_time_whoever_is_connected(self, start):
        service, key = start("--request-seconds", "60"), APIKeyFactory().secret
        with contextlib.ExitStack() as stack:
            for kind in KINDS:
                stack.enter_context(Attack(service, kind, 5))
            stack.enter_context(connect(service, make_head(key, "Content-Length: 500")))
            started = time.monotonic()
            os.kill(service.pid, signal.SIGTERM)
            assert service.wait(30) == 0
        assert time.monotonic() - started < 10

    @pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6, 0.9, 1.2])
    def test_is_heard_while_it_starts(self, tmp_path, seconds):
        env = make_environment({"DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}"})
        arguments = [sys.executable, "manage.py", "serve", "--port", str(free_port())]
        process = subprocess.Popen(
            arguments, cwd=PROJECT_DIRECTORY, env=env, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        process.terminate()
        assert process.wait(30) == 0

    @pytest.mark.django_db(transaction=True)
    def test_ends_every_process(self, start):
        service = start(processes=2)
        children = find_children(service.pid)
        assert len(children) == 2
        os.kill(service.pid, signal.SIGTERM)
        assert service.wait(15) == 0
        assert not [pid for pid in children if is_alive(pid)]


class TestProcesses:
    @pytest.mark.django_db(transaction=True)
    def test_replaces_one_that_dies(self, start):
        service = start(processes=2)
        before = find_children(service.pid)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(set(find_children(service.pid)) - {before[0]}) == 2)
        assert requests.get(f"{service.url}/health", timeout=30).status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_end_with_their_parent(self, start):
        service = start(processes=2)
        children = find_children(service.pid)
        os.kill(service.pid, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in children))

    @pytest.mark.django_db(transaction=True)
    def test_says_that_the_port_is_in_use(self, start):
        service = start()
        env = make_environment({})
        arguments = [sys.executable, "manage.py", "serve", "--port", str(service.port)]
        done = subprocess.run(
            arguments, cwd=PROJECT_DIRECTORY, env=env, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"Cannot serve on 127.0.0.1:{service.port}: Address already in use" in done.stderr

    @pytest.mark.django_db(transaction=True)
    def test_says_why_it_cannot_start(self, tmp_path):
        env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}", "PYTHONPATH": str(tmp_path)}
        (tmp_path / "whitenoise").mkdir()
        (tmp_path / "whitenoise" / "__init__.py").write_text("raise RuntimeError('no such luck')")
        with pytest.raises(RuntimeError, match="no such luck"), ServiceProcess(env=env):
            pass


@contextlib.contextmanager
def hold_database():
    """Nobody can write meanwhile."""
    if connection.vendor == "sqlite":
        lock = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            lock.execute("ROLLBACK")
            lock.close()
    else:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE support_tickets")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def find_children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(is_true, seconds=30):
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)

"""Every program and command of /docs.md, run as pasted: on the service, and on one that fails."""

import http.server
import json
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.db import connection

from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory
from ctxfy_support.tests.test_published_clients import COMMANDS, go_env, require  # noqa: F401
from support.tests.factories import TicketFactory

# A sample is the same whatever the database is.
pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="run on SQLite")

SUFFIXES = {"sh": "sh", "python": "py", "javascript": "js", "go": "go", "ruby": "rb"}
# What the guide's commands print, by their titles.
PRINTED = {
    "What came after the last message you have": '"messages":[]',
    "Your key": "",
    "Whose key is it?": "HTTP/1.1 200 OK",
    "What has changed since": '"tickets":[',
    "Nothing is stored": '"details":[{"field":"message"',
}


def read_programs(text):
    """Rows (heading, what stands after the fence, code)."""
    heading = ""
    for title, info, code in re.findall(
        r"^###? ([^\n]+)$|^```([^\n]+)\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL
    ):
        heading = title or heading
        if info:
            yield heading, info, code + "\n"


@pytest.fixture
def run(tmp_path, go_env):  # noqa: F811
    """`run(language, code, **env)`: the finished process of a sample in a file of its own."""

    def run(language, code, **env):
        suffix = SUFFIXES[language]
        command = COMMANDS[f"client.{suffix}"]
        require("curl" if language == "sh" else command[0])
        path = tmp_path / f"sample_{threading.get_ident()}.{suffix}"
        path.write_text(code)
        return subprocess.run(
            [*command, path],
            env=os.environ | go_env | env,
            capture_output=True,
            text=True,
            timeout=90,
        )

    return run


@pytest.fixture
def key(shared_service):
    plan = PlanFactory(requests_per_minute=1_000_000)
    return APIKeyFactory(user=UserFactory(plan=plan))


@pytest.fixture
def programs(shared_service):
    return [*read_programs(requests.get(f"{shared_service.url}/docs.md", timeout=30).text)]


@pytest.mark.parametrize("language", SUFFIXES)
def test_runs_as_pasted(language, programs, key, run):
    ids = {"tickets": str(TicketFactory(user=key.user).pk)}
    ids["api-keys"] = str(APIKeyFactory(user=key.user).pk)

    def run_one(code):
        code = re.sub(r"(tickets|api-keys)/\{id\}", lambda m: f"{m[1]}/{ids[m[1]]}", code)
        return run(language, code, API_KEY=key.secret)

    samples = {heading: code for heading, info, code in programs if info == language}
    with ThreadPoolExecutor(4) as pool:
        processes = dict(zip(samples, pool.map(run_one, samples.values()), strict=True))
    assert {"Quick start", "Open a ticket", "Revoke a key", "Liveness"} <= processes.keys()
    for heading, process in processes.items():
        assert process.returncode == 0, (heading, process.stderr)
        assert process.stdout, heading
        assert '"code"' not in process.stdout, (heading, process.stdout)


def test_has_commands_that_run_as_pasted(programs, key, run):
    commands = {info[3:]: code for _, info, code in programs if info.startswith("sh ")}
    assert commands.keys() == PRINTED.keys()
    ticket = TicketFactory(user=key.user)
    for title, code in commands.items():
        process = run("sh", code.replace("{id}", str(ticket.pk)), API_KEY=key.secret)
        assert process.returncode == 0, process.stderr
        assert PRINTED[title] in process.stdout


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the statuses that its server has left; 0 breaks the connection."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        status = self.server.statuses.pop(0)
        if not status:
            return
        body = json.dumps({"id": "made-up", "status": "sent"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def failing_service():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.keys, server.statuses = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("language", SUFFIXES)
def test_starts_with_a_program_that_tries_again(language, failing_service, client, run):
    host = f"127.0.0.1:{failing_service.server_port}"
    text = client.get("/docs.md", headers={"Host": host}).content.decode()
    code = next(
        code
        for heading, info, code in read_programs(text)
        if (heading, info) == ("Quick start", language)
    )
    failing_service.statuses = [0, 503, 201]
    process = run(language, code, API_KEY="made-up")
    assert process.returncode == 0, process.stderr
    assert "made-up" in process.stdout
    assert len(failing_service.keys) == 3
    assert len(set(failing_service.keys)) == 1
    assert len(failing_service.keys[0]) >= 32

    failing_service.statuses = [422]
    process = run(language, code, API_KEY="made-up")
    assert failing_service.statuses == []
    # curl shows the answer, and takes any for a success.
    assert (process.returncode == 0) == (language == "sh")

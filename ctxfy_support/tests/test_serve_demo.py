"""`make run`: the service with somebody to be, from an empty database."""

import re
import stat

import pytest
import requests

from ctxfy_support.tests.loopback import free_port
from ctxfy_support.tests.processes import CommandProcess, run_command


@pytest.fixture
def serve(tmp_path):
    secrets = tmp_path / "secrets.json"
    env = {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{tmp_path / 'demo.sqlite3'}"}

    def serve(**extra):
        port = free_port()
        arguments = ("serve_demo", "--port", str(port), "--secrets", str(secrets))
        return CommandProcess(*arguments, env=env | extra)

    serve.secrets = secrets
    return serve


def curl_parts(output):
    url, key = re.search(r'curl -X POST "([^"]+)".*?Bearer (\w+)', output, re.DOTALL).groups()
    return url, {"Authorization": f"Bearer {key}"}


def test_serves_a_first_ticket_and_prints_its_mail(serve):
    with serve() as demo:
        demo.wait_for_output("Ctrl-C")
        url, headers = curl_parts(demo.output)
        ticket = {"type": "x", "reply_address": "ada@example.com", "message": "The cat sat."}
        answer = requests.post(url, json=ticket, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["status"]) == (201, "sent")
        demo.wait_for_output("The cat sat.")
        assert "created 300 tickets" in demo.output
    assert stat.S_IMODE(serve.secrets.stat().st_mode) == 0o600


def test_is_the_same_on_the_next_run(serve):
    outputs = []
    for _ in range(2):
        with serve() as demo:
            demo.wait_for_output("Ctrl-C")
            outputs.append(
                (curl_parts(demo.output)[1], re.findall("password (.+)\\)", demo.output))
            )
    assert outputs[0] == outputs[1]


def test_creates_nothing_in_production(tmp_path):
    secrets = tmp_path / "secrets.json"
    env = {"DEBUG": "false", "DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}"}
    done = run_command("serve_demo", "--secrets", str(secrets), env=env)
    assert (done.returncode, secrets.exists()) == (2, False)

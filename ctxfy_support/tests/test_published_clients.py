"""The clients that the documentation quotes work, each in its own language, on the real service."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from accounts.tests.factories import APIKeyFactory

CLIENTS_DIRECTORY = Path(__file__).parent / "clients"
COMMANDS = {
    "client.py": [sys.executable],
    "client.js": ["node"],
    "client.go": ["go", "run"],
    "client.rb": ["ruby"],
    "client.sh": ["sh"],
}
TICKET_KEYS = {"id", "created_at", "status", "sent_at"}


@pytest.fixture
def go_env(pytestconfig):
    """Go built from what is on the machine, its cache kept beside pytest's."""
    cache = pytestconfig.cache.mkdir("go")
    return {
        "GOCACHE": str(cache / "build"),
        "GOPATH": str(cache / "path"),
        "GOENV": "off",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }


def require(program):
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is missing, and CI must try every client")
        pytest.skip(f"{program} is not installed")


def count_tickets():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM support_tickets")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("client", COMMANDS)
def test_creates_a_ticket(client, shared_service, go_env):
    command = COMMANDS[client]
    require(command[0])
    if client == "client.sh":
        require("curl")
    env = {"BASE_URL": shared_service.url, "API_KEY": APIKeyFactory().secret}
    process = subprocess.run(
        [*command, CLIENTS_DIRECTORY / client],
        env=os.environ | go_env | env,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout).keys() == TICKET_KEYS
    assert count_tickets() == 1

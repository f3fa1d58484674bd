"""Schemathesis, with all its phases and checks but one, finds nothing in the running service."""

import json
import os
import subprocess
import sys

import pytest

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.openapi import get_document
from ctxfy_support.tests.processes import PROJECT_DIRECTORY

MAX_EXAMPLES = 20
# The one DELETE revokes a key, which stays in its owner's list: it is still there to be looked at.
UNFIT = "use_after_free"


@pytest.fixture
def report(service, tmp_path):
    """Schemathesis' own report of a run against the service, as the owner of a key."""
    key = APIKeyFactory(user__plan__slug="unlimited", user__plan__requests_per_minute=10**9)
    path = tmp_path / "report.json"
    process = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{service().url}/openapi.json"),
            *("--header", f"Authorization: Bearer {key.secret}"),
            *("--checks", "all", "--exclude-checks", UNFIT),
            *("--max-examples", str(MAX_EXAMPLES), "--seed", "1", "--request-timeout", "20"),
            *("--continue-on-failure", "--report-json-path", path),
        ],
        env=os.environ
        | {
            "PYTHONPATH": str(PROJECT_DIRECTORY),
            "SCHEMATHESIS_HOOKS": "ctxfy_support.tests.schemathesis_hooks",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(path.read_text())


@pytest.mark.timeout(300)
def test_finds_nothing(report):
    assert (report["complete"], report["failures"], report["errors"]) == (True, [], [])
    assert {phase["status"] for phase in report["phases"].values()} == {"success"}
    # A run in which nothing was let in would prove nothing.
    operations = sum(len(methods) for methods in get_document()["paths"].values())
    accepted = [rates["fuzzing"]["accepted"] for rates in report["valid_rates"].values()]
    assert (report["operations"]["tested"], len(accepted)) == (operations, operations)
    assert all(accepted)

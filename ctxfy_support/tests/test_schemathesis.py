"""Schemathesis, with every check it has, finds nothing in the running service."""

import json
import os
import subprocess
import sys

import pytest

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.tests.processes import PROJECT_DIRECTORY

CONFIG = """
# A 422 has one meaning here: the Idempotency-Key was used before.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 422]
"""
PHASES = ["examples", "coverage", "fuzzing", "stateful"]


@pytest.mark.timeout(300)
def test_finds_nothing(service, tmp_path):
    key = APIKeyFactory(user__plan__slug="unlimited", user__plan__requests_per_minute=10**9)
    url = service().url
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    process = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", tmp_path / "schemathesis.toml", "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: Bearer {key.secret}", "--checks", "all"),
            *("--phases", ",".join(PHASES), "--max-examples", "20", "--seed", "1"),
            *("--request-timeout", "20", "--continue-on-failure"),
            *("--report-json-path", tmp_path / "report.json"),
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
    report = json.loads((tmp_path / "report.json").read_text())
    print(json.dumps(report, indent=1)[:3000])

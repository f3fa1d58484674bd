"""deploy/systemd: what systemd itself says of the units, and whether the service runs so."""

import configparser
import os
import re
import signal
import subprocess
import sys

import pytest
from django.core.management import get_commands, load_command_class

from ctxfy_support.tests.processes import PROJECT_DIRECTORY, ServiceProcess
from ctxfy_support.tests.proxies import DEPLOY, check, require

UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
STOP_SECONDS = 10  # What `serve` promises.
# systemd's own scale: 100 is a service that may do everything, under 20 is "OK".
EXPOSURE = 15
PR_SET_MDWE = 65

each_service = pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)


def read(unit):
    # SystemCallFilter stands there twice; the last is enough here.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(unit)
    return parser


@pytest.fixture
def installed(tmp_path):
    """The units as if this tree were what they start."""
    for unit in UNITS:
        text = unit.read_text()
        text = text.replace("/opt/ctxfy-support/current/.venv/bin/python", sys.executable)
        text = text.replace("/opt/ctxfy-support/current", str(PROJECT_DIRECTORY))
        (tmp_path / unit.name.replace("@.", "@8000.")).write_text(text)
    return tmp_path


def test_are_units_that_systemd_understands(installed):
    program = require("systemd-analyze")
    said = check([program, "verify", "--man=no", *sorted(map(str, installed.iterdir()))])
    assert said == ""


def test_expose_little(installed):
    program = require("systemd-analyze")
    for unit in installed.glob("*.service"):
        check([program, "security", "--offline=yes", f"--threshold={EXPOSURE}", str(unit)])


@each_service
def test_start_a_command_that_there_is(unit):
    command, *arguments = re.search(r"manage\.py (.*)", unit.read_text())[1].split()
    commands = get_commands()
    if command not in commands:
        pytest.skip(f"this release has no {command}")
    parser = load_command_class(commands[command], command).create_parser("manage.py", command)
    parser.parse_args([argument.replace("%i", "8000") for argument in arguments])


@each_service
def test_give_everybody_time_to_finish(unit):
    service = read(unit)["Service"]
    assert int(service["TimeoutStopSec"].removesuffix("s")) >= 2 * STOP_SECONDS
    assert service["KillMode"] == "control-group"


def test_serve_ends_well_when_the_whole_group_is_told(process_env):
    with ServiceProcess(env=process_env, processes=2) as service:
        os.killpg(service.pid, signal.SIGTERM)
        assert service.wait(STOP_SECONDS) == 0


def test_serves_without_memory_to_write_and_run(process_env):
    """MemoryDenyWriteExecute=yes: as the kernel does it, for the process and all its children."""
    deny = f"import ctypes; assert ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0) == 0; "
    start = "import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    if subprocess.run([sys.executable, "-c", deny], capture_output=True, check=False).returncode:
        pytest.skip("this kernel cannot forbid it")
    service = ServiceProcess(env=process_env)
    service.command[1:1] = ["-c", deny + start]
    with service:
        assert service.send_raw(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")

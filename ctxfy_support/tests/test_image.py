"""Dockerfile and compose.yaml where there is no image builder: their own commands, in order.

The build's commands run in folders that stand for the stages' file systems, with this interpreter
for the image's; then what the image starts is started, and its health is asked as it says.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import requests
import yaml
from django.core.management import get_commands

from ctxfy_support.tests.processes import PROJECT_DIRECTORY, ServiceProcess

PORT = "8000"
NOBODY = 65_534


def instructions():
    """Rows (word, rest) of the Dockerfile."""
    text = (PROJECT_DIRECTORY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def is_sent(path):
    """Whether .dockerignore lets the builder see this path of the tree."""
    lines = (PROJECT_DIRECTORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    dropped = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    assert len(rules) == 1 + len(kept) + len(dropped)
    is_kept = path.parts[0] in kept
    return is_kept and not any(fnmatch.fnmatch(part, d) for part in path.parts for d in dropped)


def copy_tree(target):
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT_DIRECTORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, files):
        source = PROJECT_DIRECTORY / name
        if is_sent(Path(name)) and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


class Stage:
    """A stage's /app, and what its instructions have set."""

    def __init__(self, app):
        self.app, self.env, self.found = app, {}, {}
        app.mkdir(parents=True)

    def run(self, command):
        if command.startswith("useradd "):
            return
        path = f"{self.app.parent.parent / 'bin'}:{os.environ['PATH']}"
        env = os.environ | self.env | {"PATH": path}
        env.pop("PIP_NO_CACHE_DIR", None)
        result = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self.app,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        offline = "No matching distribution" in result.stderr and os.environ.get("CI") != "true"
        if offline:
            pytest.skip("no package registry can be reached")
        assert result.returncode == 0, result.stdout + result.stderr


def build(directory):
    """Carry out the Dockerfile; return its last stage."""
    (directory / "bin").mkdir()
    (directory / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    stages = {}
    for word, rest in instructions():
        if word == "FROM":
            stage = stages[rest.partition(" AS ")[2]] = Stage(directory / str(len(stages)) / "app")
        elif word == "ENV":
            stage.env |= dict(pair.split("=", 1) for pair in rest.split())
        elif word == "RUN":
            stage.run(rest.strip())
        elif word == "COPY" and rest == "requirements.txt ./":
            shutil.copy2(PROJECT_DIRECTORY / "requirements.txt", stage.app)
        elif word == "COPY" and rest == ". ./":
            copy_tree(stage.app)
        elif word == "COPY":
            assert rest == "--from=build /app ./"
            # A virtual environment stays where it was made.
            stage.app.rmdir()
            stages["build"].app.rename(stage.app)
            stages["build"].app.symlink_to(stage.app)
        elif word == "HEALTHCHECK":
            stage.found[word] = json.loads(rest.partition("CMD ")[2])
        elif word in {"ENTRYPOINT", "CMD"}:
            stage.found[word] = json.loads(rest)
        elif word == "USER":
            stage.found[word] = rest
        else:
            assert word in {"ARG", "EXPOSE"} or rest == "/app", word
    return stage


class Image(ServiceProcess):
    """What the image starts, as a user who may write nothing."""

    def __init__(self, stage, env):
        super().__init__(env=env)
        words = stage.found["ENTRYPOINT"] + stage.found["CMD"]
        self.command = [str(self.port) if word == PORT else word for word in words]
        self.command[0] = str(stage.app / self.command[0])
        self.command[1] = str(stage.app / self.command[1])
        self.env |= stage.env
        if os.geteuid() == 0:
            user = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
            self.command = ["setpriv", *user, *self.command]


@pytest.fixture(scope="module")
def stage():
    # Not pytest's own folder, which nobody else may enter.
    directory = Path(tempfile.mkdtemp(prefix="image-"))
    directory.chmod(0o755)
    yield build(directory)
    shutil.rmtree(directory)


@pytest.fixture
def folder_of_nobody():
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield name


@pytest.mark.timeout(400)
def test_serves_without_root_and_without_a_file_to_write(stage, folder_of_nobody):
    env = {"DATABASE_URL": f"sqlite:///{folder_of_nobody}/db.sqlite3"}
    with Image(stage, env) as image:
        check = [word.replace(PORT, str(image.port)) for word in stage.found["HEALTHCHECK"]]
        assert subprocess.run(check, cwd=stage.app, check=False).returncode == 0
        icon = requests.get(f"{image.url}/static/support/icon.svg", timeout=10)
        assert icon.status_code == 200
        image.kill()
        assert subprocess.run(check, cwd=stage.app, capture_output=True, check=False).returncode


@pytest.mark.timeout(400)
def test_holds_what_runs_and_nothing_else(stage):
    names = {path.name for path in stage.app.iterdir()}
    assert {"manage.py", "accounts", "support", "templates", ".venv", "staticfiles"} <= names
    assert not names & {".git", "docs", "deploy", "requirements-dev.txt", "conftest.py", ".env"}
    assert not [path for path in stage.app.rglob("tests") if ".venv" not in path.parts]
    assert not (stage.app / ".venv" / "bin" / "pip").exists()
    user, _, group = stage.found["USER"].partition(":")
    assert int(user) > 0 < int(group)


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((PROJECT_DIRECTORY / "compose.yaml").read_text())


def test_compose_starts_what_there_is(compose):
    ours = {name: s for name, s in compose["services"].items() if "build" in s}
    assert {"web", "worker", "fetcher", "migrate"} <= set(ours)
    commands = {s["command"][0] for s in ours.values() if "command" in s}
    # The last two come with what customers answer, and with what is kept for how long.
    assert commands - {"fetch_replies", "clean_up"} <= set(get_commands())


def test_compose_gives_nobody_more_than_they_need(compose):
    for service in compose["services"].values():
        if "build" in service:
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["secrets"]
    assert compose["services"]["database"]["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"]


def test_compose_has_no_password_of_its_own(compose):
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|DATABASE_URL", name):
                assert name.endswith("_FILE")
                assert value.startswith("/run/secrets/")
                assert Path(value).name in service["secrets"]
    assert all(
        secret["file"].startswith("./deploy/secrets/") for secret in compose["secrets"].values()
    )


def test_compose_trusts_the_network_of_the_proxy_alone(compose):
    front = compose["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert compose["services"]["web"]["environment"]["TRUSTED_PROXIES"] == front
    on_it = {name for name, s in compose["services"].items() if "front" in s["networks"]}
    assert on_it == {"web", "proxy"}

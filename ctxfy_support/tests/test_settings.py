"""A wrong value names its variable and stops the start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctxfy_support import VERSION
from ctxfy_support.tests.processes import PROJECT_DIRECTORY, make_environment, run_command

SECRETS = [
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "DATABASE_URL",
    "SENDGRID_API_KEY",
    "GOOGLE_SMTP_USER",
    "GOOGLE_SMTP_PASSWORD",
    "METRICS_TOKEN",
]


def start(show="DATABASES", **env):
    return subprocess.run(
        [sys.executable, "-c", f"from ctxfy_support import settings; print(settings.{show})"],
        cwd=PROJECT_DIRECTORY,
        env={name: value for name, value in make_environment(env).items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("DEBUG", "maybe"),
        ("DATABASE_URL", "mysql://user:hunter2@localhost/x"),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "postgres://user:hunter2@localhost"),
        ("SUPPORT_EMAIL", "support@"),
        ("SUPPORT_EMAIL", "a@example.com, b@example.com"),
        ("SUPPORT_EMAIL_FROM", "a@example.com\r\nBcc: b@example.com"),
        ("SUPPORT_EMAIL_SENDER", "mailgun"),
        ("SUPPORT_EMAIL_DELIVERY", "later"),
        ("SUPPORT_EMAIL_DEADLINE", "0"),
        ("SUPPORT_EMAIL_DEADLINE", "nan"),
        ("SUPPORT_EMAIL_DEADLINE", "five"),
        ("SENDGRID_API_KEY", "\u201chunter2\u201d"),
        ("GOOGLE_SMTP_USER", "ada\u200b@hunter2"),
        ("GOOGLE_SMTP_PASSWORD", "hunter2\u00a0abcd"),
        ("SENDGRID_API_URL", "api.sendgrid.com"),
        ("GOOGLE_SMTP_PORT", "70000"),
        ("GOOGLE_SMTP_PORT", "587.9"),
        ("SUPPORT_EMAIL_DEADLINE", "1_0"),
        ("GOOGLE_SMTP_SECURITY", "ssl"),
        ("IMAP_HOST", "imap.example.com\x07"),
        ("IMAP_USER", "ada\u200b@hunter2"),
        ("IMAP_PASSWORD", "hunter2\u00a0abcd"),
        ("IMAP_PORT", "imaps"),
        ("IMAP_SECURITY", "ssl"),
        ("IMAP_FOLDER", "IN\tBOX"),
        ("SITE_URL", "support.example.com"),
        ("ANYMAIL_WEBHOOK_SECRET", "hunter2"),
        ("ANYMAIL_WEBHOOK_SECRET", ":hunter2"),
        ("ANYMAIL_WEBHOOK_SECRET", "hunter2:"),
        ("ANYMAIL_WEBHOOK_SECRET", "send\u200bgrid:hunter2"),
        ("SENDGRID_WEBHOOK_VERIFICATION_KEY", "hunter2"),
        ("SENDGRID_WEBHOOK_VERIFICATION_KEY", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
    ],
)
def test_stops_with_the_name_of_the_variable(name, value):
    started = start(**{name: value})
    assert_stops(started, name)


def assert_stops(started, name):
    last_line = started.stderr.strip().splitlines()[-1]
    assert started.returncode != 0
    assert f"{name}: " in last_line
    assert "hunter2" not in started.stderr


@pytest.fixture
def write(tmp_path):
    """`write(text)`: the path of a file that says so."""

    def write(text):
        path = tmp_path / "secret"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("name", "show"),
    [
        ("SECRET_KEY", "SECRET_KEY"),
        ("SENDGRID_API_KEY", "ANYMAIL['SENDGRID_API_KEY']"),
        ("GOOGLE_SMTP_PASSWORD", "EMAIL_HOST_PASSWORD"),
        ("METRICS_TOKEN", "METRICS_TOKEN"),
    ],
)
def test_reads_a_secret_from_a_file(write, name, show):
    started = start(show, **{name: "", f"{name}_FILE": write("se$cret hunter2\r\n")})
    assert started.stdout == "se$cret hunter2\n", started.stderr


def test_reads_the_database_from_a_file(write):
    path = write("postgres://ada:p%40ss@db:5433/desk\n")
    started = start("DATABASES['default']['PASSWORD']", DATABASE_URL="", DATABASE_URL_FILE=path)
    assert started.stdout == "p@ss\n", started.stderr


def test_reads_former_keys_from_a_file_line_by_line(write):
    path = write("first\nsecond, third\n")
    started = start("SECRET_KEY_FALLBACKS", SECRET_KEY_FALLBACKS_FILE=path)
    assert started.stdout == "['first', 'second', 'third']\n", started.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_stops_where_a_secret_is_set_twice(write, name):
    path = write("sqlite:///hunter2")
    assert_stops(start(**{name: "sqlite:///other", f"{name}_FILE": path}), f"{name}_FILE")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "hunter2\nhunter2"),
        ("DATABASE_URL", " \r\n"),
        ("DATABASE_URL", "hunter2"),
        ("METRICS_TOKEN", b"\xffhunter2"),
        ("METRICS_TOKEN", b"hunter2" * 10_000),
    ],
)
def test_stops_where_a_file_holds_no_secret(write, name, content):
    assert_stops(start(**{name: "", f"{name}_FILE": write(content)}), f"{name}_FILE")


@pytest.mark.parametrize("path", ["/nowhere/hunter2", "hunter2", "/dev/zero", "/tmp"])
def test_stops_where_there_is_no_such_file(path):
    assert_stops(start(GOOGLE_SMTP_PASSWORD_FILE=path), "GOOGLE_SMTP_PASSWORD_FILE")


def test_stops_where_a_file_cannot_be_read(write):
    path = write("hunter2")
    Path(path).chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("Root reads everything.")
    assert_stops(start(METRICS_TOKEN_FILE=path), "METRICS_TOKEN_FILE")


def test_reads_the_file_that_env_file_names(write):
    path = write("# Ours\n\nexport SITE_URL='https://desk.example'\nSUPPORT_EMAIL=x@y.example\n")
    variables = {"SITE_URL": None, "SUPPORT_EMAIL": "set@already.example"}
    started = start("SITE_URL, settings.SUPPORT_EMAIL", ENV_FILE=path, **variables)
    assert started.stdout == "https://desk.example set@already.example\n", started.stderr


@pytest.mark.parametrize(
    "content", ["SECRET KEY=hunter2\n", b"SITE_URL=\xff", "SITE_URL=x\nhunter2\n"]
)
def test_stops_where_a_line_of_env_file_sets_nothing(write, content):
    assert_stops(start(ENV_FILE=write(content)), "ENV_FILE")


@pytest.mark.parametrize("path", ["/nowhere/.env", ".env.prodution", "/tmp"])
def test_stops_where_env_file_names_no_file(path):
    assert_stops(start(ENV_FILE=path), "ENV_FILE")


def test_starts_with_nothing_but_a_secret_key():
    started = start(DATABASE_URL="sqlite:///db.sqlite3")
    assert started.returncode == 0, started.stderr
    assert str(PROJECT_DIRECTORY / "db.sqlite3") in started.stdout


def test_starts_with_a_key_as_sendgrid_shows_it():
    key = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw"
        "+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
    )
    assert start(SENDGRID_WEBHOOK_VERIFICATION_KEY=key).returncode == 0


def test_names_every_variable_in_the_example():
    example = (PROJECT_DIRECTORY / ".env.example").read_text()
    sources = (PROJECT_DIRECTORY / "ctxfy_support" / "settings.py").read_text()
    named = {line.removeprefix("#").strip().split("=")[0] for line in example.splitlines()}
    import re

    read = set(re.findall(r'environment\.\w+\(\s*"([A-Z_]+)"', sources))
    assert read
    assert read <= named


@pytest.mark.parametrize("arguments", [["--version"], ["version"], ["serve", "--version"]])
def test_tells_its_version(arguments):
    told = run_command(*arguments, env={"SECRET_KEY": "x"})
    assert (told.returncode, told.stdout) == (0, f"{VERSION}\n")

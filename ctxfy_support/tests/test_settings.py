"""A wrong value names its variable and stops the start."""

import subprocess
import sys

import pytest

from ctxfy_support.tests.processes import PROJECT_DIRECTORY, make_environment


def start(**env):
    return subprocess.run(
        [sys.executable, "-c", "from ctxfy_support import settings; print(settings.DATABASES)"],
        cwd=PROJECT_DIRECTORY,
        env=make_environment(env),
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
    last_line = started.stderr.strip().splitlines()[-1]
    assert started.returncode != 0
    assert f"{name}: " in last_line
    assert "hunter2" not in started.stderr


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

"""The settings, the disk, and the way here through the proxy."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.checks import WARNING, run_checks
from django.db import connection

from ctxfy_support.checks import THIS_MACHINE
from ctxfy_support.doctor import sqlite
from ctxfy_support.doctor.findings import Finding, notice, well, wrong

LEAST_FREE_BYTES = 500 * 1024 * 1024
LEAST_FREE_SHARE = 0.05
SITE_SECONDS = 5.0
# Django's own words, where ours are there.
SAID_BETTER = {"security.W009": "ctxfy_support.W006", "security.W020": "ctxfy_support.W001"}


def check_settings() -> Iterator[Finding]:
    """Everything that `manage.py check --deploy` says."""
    messages = [
        message
        for message in run_checks(include_deployment_checks=True)
        if message.level >= WARNING and not message.is_silenced()
    ]
    ids = {message.id for message in messages}
    messages = [message for message in messages if SAID_BETTER.get(str(message.id)) not in ids]
    for message in messages:
        yield wrong(f"{message.msg} ({message.id})", message.hint or "See README, Settings.")
    if not messages:
        yield well("Nothing is wrong with the settings themselves")


def check_disk() -> Iterator[Finding]:
    """Room where this process writes: SQLite's file and what is temporary."""
    places = {Path(tempfile.gettempdir())}
    if connection.vendor == "sqlite":
        places.add(sqlite.get_path().parent)
    for place in sorted(places):
        usage = shutil.disk_usage(place)
        what = f"{usage.free / 2**30:.1f} GiB are free in {place}"
        if usage.free < max(LEAST_FREE_BYTES, usage.total * LEAST_FREE_SHARE):
            yield wrong(what, "Make room before the disk is full: then nothing can be stored.")
        else:
            yield well(what)


def check_site() -> Iterator[Finding]:
    """Does SITE_URL lead to this service, through its proxy and over TLS?"""
    if urlsplit(settings.SITE_URL).hostname in THIS_MACHINE:
        yield notice(
            f"SITE_URL is {settings.SITE_URL}: the links in mails open on this machine alone",
            "Set SITE_URL to the https:// address under which agents reach this service.",
        )
        return
    if not settings.SITE_URL.startswith("https://"):
        return  # The settings' own check says so.
    # Its own session: no proxy of the environment, no .netrc.
    with requests.Session() as session:
        session.trust_env = False
        address = f"{settings.SITE_URL}/health/live"
        try:
            answer = session.get(address, timeout=SITE_SECONDS, allow_redirects=False)
        except requests.exceptions.SSLError:
            yield wrong(
                f"{address} has no certificate that this machine trusts",
                "Renew it, and let the proxy send the whole chain.",
            )
            return
        except requests.RequestException as exc:
            yield notice(
                f"{address} cannot be reached from this machine ({type(exc).__name__})",
                "Try it from outside. Some networks do not let a machine see its own address.",
            )
            return
    if answer.status_code == 200 and answer.headers.get("X-Request-Id", "").startswith("req_"):
        yield well(f"{settings.SITE_URL} leads here")
    else:
        yield wrong(
            f"{address} answers {answer.status_code}, and not as this service does",
            "Let the proxy pass every path on to manage.py serve, or correct SITE_URL.",
        )

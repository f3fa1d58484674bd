"""Settings that would only show at night; Django's `check`, every start and `doctor` say them.

Where DEBUG is on nothing is said: in development all of it is fine.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.http.request import validate_host

SHORTEST_SECRET_KEY = 32
THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}


def check_addresses(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """W001 to W003: who asks for this service by its name is answered."""
    if settings.DEBUG:
        return []
    if not settings.ALLOWED_HOSTS:
        return [
            checks.Warning(
                "ALLOWED_HOSTS is empty: every request is refused with a 400.",
                hint="Set it to the host of SITE_URL, such as support.example.com.",
                id="ctxfy_support.W001",
            )
        ]
    site = urlsplit(settings.SITE_URL)
    if site.hostname in THIS_MACHINE:  # Fine for a trial, and `doctor` mentions it.
        return []
    found: list[checks.CheckMessage] = []
    if not validate_host(site.hostname or "", settings.ALLOWED_HOSTS):
        found.append(
            checks.Warning(
                f"ALLOWED_HOSTS does not have {site.hostname}, the host of SITE_URL: the links in "
                "mails lead to a 400.",
                hint=f"Add {site.hostname} to ALLOWED_HOSTS, or correct SITE_URL.",
                id="ctxfy_support.W002",
            )
        )
    if site.scheme != "https":
        found.append(
            checks.Warning(
                f"SITE_URL is {settings.SITE_URL}: the links in mails lead to plain HTTP.",
                hint="Set SITE_URL to the https:// address under which agents reach this service.",
                id="ctxfy_support.W003",
            )
        )
    return found


def check_proxies(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """W004 and W005: the proxy in front is believed, and nobody else."""
    if settings.DEBUG:
        return []
    if any(network.prefixlen == 0 for network in settings.TRUSTED_PROXIES):
        return [
            checks.Warning(
                "TRUSTED_PROXIES trusts every address: anybody can claim any address, and that a "
                "request came over TLS.",
                hint="Name the addresses or networks of your own proxies alone.",
                id="ctxfy_support.W004",
            )
        ]
    if settings.SITE_URL.startswith("https://") and not settings.TRUSTED_PROXIES:
        return [
            checks.Warning(
                "SITE_URL is https:// and TRUSTED_PROXIES is empty: what comes through the proxy "
                "that speaks TLS is taken for plain HTTP and refused.",
                hint="Set TRUSTED_PROXIES to the proxy's address, such as 127.0.0.1,::1 for one on "
                "this machine.",
                id="ctxfy_support.W005",
            )
        ]
    return []


def check_secret_key(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """W006: the key cannot be guessed."""
    if settings.DEBUG or len(settings.SECRET_KEY) >= SHORTEST_SECRET_KEY:
        return []
    return [
        checks.Warning(
            f"SECRET_KEY has fewer than {SHORTEST_SECRET_KEY} characters: who guesses it can log "
            "in as anybody.",
            hint="Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'. The "
            "former one in SECRET_KEY_FALLBACKS keeps agents logged in.",
            id="ctxfy_support.W006",
        )
    ]

"""Who is guessing a password: the name and the address that django-axes counts failures for."""

from ipaddress import ip_address

from django.http import HttpRequest

from ctxfy_support.client_address import get_client_address

LONGEST_NAME = 150


def find_name(request: HttpRequest, credentials: dict[str, str] | None = None) -> str:
    """The name tried, cut to what the table takes; empty if there is none."""
    name = (credentials or request.POST).get("username") or ""
    return str(name).replace("\0", "")[:LONGEST_NAME]


def find_address(request: HttpRequest) -> str | None:
    """The client's address past our own proxies; None if it is not one (a Unix socket)."""
    try:
        return str(ip_address(get_client_address(request)))
    except ValueError:
        return None

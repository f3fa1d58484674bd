"""Where a request really comes from: forwarded headers count only from the proxies we name."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def _is_trusted(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.TRUSTED_PROXIES)


def get_client_address(request: HttpRequest) -> str:
    """The address of the nearest hop that is not one of our proxies; empty on a Unix socket.

    Read from the right: what stands further left in X-Forwarded-For was written by strangers.
    """
    address: str = request.META.get("REMOTE_ADDR", "")
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if not _is_trusted(address):
            break
        address = hop.strip() or address
    return address


def is_over_tls(request: HttpRequest) -> bool:
    """Whether the client's own connection is encrypted, as this server or our proxy says."""
    if request.scheme == "https":
        return True
    said = request.META.get("HTTP_X_FORWARDED_PROTO", "").split(",")[-1].strip()
    return said == "https" and _is_trusted(request.META.get("REMOTE_ADDR", ""))


def is_local(request: HttpRequest) -> bool:
    """Whether the request comes from this machine itself, past no proxy."""
    try:
        loopback = ip_address(get_client_address(request)).is_loopback
    except ValueError:
        return False
    return loopback and not _is_trusted(request.META.get("REMOTE_ADDR", ""))

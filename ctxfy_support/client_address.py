"""Where a request really comes from: forwarded headers count only from the proxies we name."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest


def _parse(hop: str) -> IPv4Address | IPv6Address | None:
    """The address of `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:443`; None for anything else."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(hop: str) -> bool:
    address = _parse(hop)
    return any(address in network for network in settings.TRUSTED_PROXIES if address)


def get_client_address(request: HttpRequest) -> str:
    """The address of the nearest hop that is not one of our proxies, as it is usually written.

    What is no address stays as it stands; empty on a Unix socket.

    Read from the right: what stands further left in X-Forwarded-For was written by strangers.
    """
    address: str = request.META.get("REMOTE_ADDR", "")
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if not _is_trusted(address):
            break
        address = hop.strip() or address
    return str(_parse(address) or address)


def get_client_network(request: HttpRequest) -> str:
    """What one client can be held to: its IPv4 address, or the /64 that IPv6 gives everybody."""
    address = _parse(get_client_address(request))
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address or get_client_address(request))


def is_over_tls(request: HttpRequest) -> bool:
    """Whether the client's own connection is encrypted, as this server or our proxy says."""
    if request.scheme == "https":
        return True
    said = request.META.get("HTTP_X_FORWARDED_PROTO", "").split(",")[-1].strip()
    return said == "https" and _is_trusted(request.META.get("REMOTE_ADDR", ""))


def is_local(request: HttpRequest) -> bool:
    """Whether the request comes from this machine itself, past no proxy."""
    address = _parse(get_client_address(request))
    return (
        address is not None
        and address.is_loopback
        and not _is_trusted(request.META.get("REMOTE_ADDR", ""))
    )

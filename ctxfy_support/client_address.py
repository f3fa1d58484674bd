"""Where a request really comes from: forwarded headers count only from the proxies we name."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

# All whose proxy names no address share this one, and so its limits: whoever breaks the header on
# purpose must not become the proxy, nor somebody new with every request.
UNKNOWN = "unknown"
# Any of these shows that somebody stands between the client and us.
FORWARDING_HEADERS = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_VIA",
)


@lru_cache(maxsize=1_000)  # The same few peers and proxies ask again and again.
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


def is_from_our_proxy(request: HttpRequest) -> bool:
    """Whether a proxy that TRUSTED_PROXIES names has passed the request on to us."""
    return _is_trusted(request.META.get("REMOTE_ADDR", ""))


def get_client_address(request: HttpRequest) -> str:
    """The address of the nearest hop that is not one of our proxies, as it is usually written.

    UNKNOWN where one of our proxies says nothing that is an address; on a Unix socket empty.

    Read from the right: what stands further left in X-Forwarded-For was written by strangers. A
    header that is there and empty counts: some servers empty a value that is not ASCII.
    """
    address: str = request.META.get("REMOTE_ADDR", "")
    forwarded: str | None = request.META.get("HTTP_X_FORWARDED_FOR")
    for hop in [] if forwarded is None else reversed(forwarded.split(",")):
        if not _is_trusted(address):
            break
        if _parse(hop) is None:
            return UNKNOWN
        address = hop
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


def is_forwarded(request: HttpRequest) -> bool:
    """Whether somebody has passed the request on, ours or not."""
    return any(name in request.META for name in FORWARDING_HEADERS)


def find_unnamed_proxy(request: HttpRequest) -> str | None:
    """The address of a neighbour that forwards requests and that TRUSTED_PROXIES does not name.

    None for a peer out in the world: there, strangers write such headers themselves.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    address = _parse(peer)
    if address is None or not address.is_private or not is_forwarded(request):
        return None
    return None if _is_trusted(peer) else str(address)


def is_local(request: HttpRequest) -> bool:
    """Whether the request comes from this machine itself, past no proxy, named or not."""
    peer: str = request.META.get("REMOTE_ADDR", "")
    address = _parse(peer)
    return (
        address is not None
        and address.is_loopback
        and not _is_trusted(peer)
        and not is_forwarded(request)
    )

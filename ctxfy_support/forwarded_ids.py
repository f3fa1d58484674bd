"""The names that a proxy of ours has given a request, so that its logs and ours can be joined.

From anybody else they are ignored: a stranger must not write into our logs.
"""

import re

from django.http import HttpRequest

from ctxfy_support.client_address import is_from_our_proxy

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, parent, flags. Neither id
# is all zeros, there is no version ff, and only a later version may have more behind the flags.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    r"-[0-9a-f]{2}(-[!-~]{0,200})?"
)


def find_proxy_request_id(request: HttpRequest) -> str:
    """Our proxy's X-Request-Id, as it may stand in a log line once it is redacted; else empty."""
    text = request.META.get("HTTP_X_REQUEST_ID", "")
    is_one = text and _REQUEST_ID.fullmatch(text) and is_from_our_proxy(request)
    return text if is_one else ""


def find_trace_id(request: HttpRequest) -> str:
    """The trace (32 hexadecimal digits) of a `traceparent` (W3C Trace Context); else empty."""
    text = request.META.get("HTTP_TRACEPARENT", "")
    if not text or not is_from_our_proxy(request):
        return ""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or (found["version"] == "00" and len(text) != 55):
        return ""
    return found["trace"]

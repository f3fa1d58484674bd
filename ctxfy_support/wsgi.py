"""The WSGI application, `ctxfy_support.wsgi:application`; `manage.py serve` serves it.

Any other WSGI server may, too, if it sees to slow clients itself (README, "Run it in production").
"""

import json
import logging
import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ctxfy_support.settings")

_django = get_wsgi_application()

from ctxfy_support.envelope import make_error  # noqa: E402  (DRF: after Django is set up)
from ctxfy_support.metrics import counters  # noqa: E402  (a model, likewise)
from ctxfy_support.request_id import begin_request  # noqa: E402
from ctxfy_support.security_headers import API_HEADERS, STRICT_TRANSPORT_SECURITY  # noqa: E402
from ctxfy_support.start import log_warnings  # noqa: E402
from ctxfy_support.waits import limit_lock_waits, limit_statements  # noqa: E402

logger = logging.getLogger(__name__)

# No request may hang; a client is told to try again within three seconds.
STATEMENT_LIMIT_MS = 2_000
limit_statements(STATEMENT_LIMIT_MS)
limit_lock_waits()

counters.start()
log_warnings()

# Some servers hand the process's environment to every request; credentials have no business there.
_PROCESS_VARIABLES = frozenset(os.environ) - {"SCRIPT_NAME"}


def _give_length(environ: WSGIEnvironment) -> None:
    """Let Django read a body that comes without a length (chunked); it would take it for empty.

    One byte over the bound is enough for the parser to see that a body is too large. Nothing is
    read here: whoever looks at the key comes first.
    """
    if environ.get("HTTP_TRANSFER_ENCODING") and not environ.get("CONTENT_LENGTH"):
        is_large = environ.get("PATH_INFO", "").startswith(settings.PATHS_WITH_LARGE_BODIES)
        longest = settings.LARGE_BODY_BYTES - 1 if is_large else settings.MAX_BODY_BYTES
        environ["CONTENT_LENGTH"] = str(longest + 1)


def _tame_content_type(environ: WSGIEnvironment) -> None:
    """Leave Django no character set to decode by but UTF-8, and no parameter that it chokes on."""
    content_type = environ.get("CONTENT_TYPE", "")
    media_type = content_type.partition(";")[0]
    try:
        charset = parse_header_parameters(content_type)[1].get("charset", "utf-8")
    except (ValueError, LookupError):
        charset = ""
    if charset.lower() not in {"utf-8", "utf8"}:
        environ["CONTENT_TYPE"] = f"{media_type}; charset=unsupported"


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Django, behind what it does not forgive in a request; what fails here is a 500 in JSON."""
    environ = {name: value for name, value in environ.items() if name not in _PROCESS_VARIABLES}
    try:
        _give_length(environ)
        _tame_content_type(environ)
        return _django(environ, start_response)
    except Exception:
        request_id = begin_request()
        logger.exception("A request could not even be read")
        body = json.dumps(make_error(500), separators=(",", ":")).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Request-Id", request_id),
            *API_HEADERS.items(),
            # Over plain HTTP browsers ignore it.
            ("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY),
        ]
        start_response("500 Internal Server Error", headers)
        return [body]

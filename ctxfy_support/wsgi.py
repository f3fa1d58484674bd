"""The WSGI application: `granian --interface wsgi ctxfy_support.wsgi:application`."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ctxfy_support.settings")
# No request waits longer than this for the database; commands and migrations may.
os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_MS", "2000")

_django = get_wsgi_application()

from ctxfy_support.metrics import counters  # noqa: E402  (a model: after Django is set up)

counters.start()

# granian hands the process's environment to every request; credentials have no business there.
_PROCESS_VARIABLES = frozenset(os.environ) - {"SCRIPT_NAME"}


def application(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
    """Django, without the process's variables, and with a chunked body given a length.

    Django reads CONTENT_LENGTH bytes, so a chunked body would count as empty. One byte over
    the bound is enough for the parser to see that a body is too large.
    """
    environ = {name: value for name, value in environ.items() if name not in _PROCESS_VARIABLES}
    if not environ.get("CONTENT_LENGTH") and environ.get("HTTP_TRANSFER_ENCODING"):
        environ["CONTENT_LENGTH"] = str(settings.MAX_BODY_BYTES + 1)
    return _django(environ, start_response)

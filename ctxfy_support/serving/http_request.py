"""One request as it arrives, and the WSGI view of it.

The event loop fills it, a thread reads it. Nobody waits for a body longer than its deadline.
"""

import io
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

# More than this waits in the socket until a thread has taken what is here.
HIGH_WATER_BYTES = 64 * 1024
# How long a thread waits for its turn to wait for a slow body.
TURN_SECONDS = 1.0


class BodyNotWholeError(OSError):
    """The client went away, or did not send its body in time."""


class HTTPRequest:
    """Method, target and header lines as they came, and as much of the body as is here."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline  # by time.monotonic(), for the whole of it
        self.method = ""
        self.target = b""
        self.version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.is_whole = False
        self.keeps_alive = False
        self.expects_continue = False
        # Whether it is answered while its body is still on its way; if not, what waits in memory.
        self.is_late = False
        self.early_bytes = 0
        self._has_failed = False
        self._changed = threading.Condition()

    def add(self, data: bytes) -> bool:
        """Store a part of the body; return whether there is enough for now."""
        with self._changed:
            self.body += data
            self._changed.notify_all()
            return len(self.body) > HIGH_WATER_BYTES

    def finish(self) -> None:
        with self._changed:
            self.is_whole = True
            self._changed.notify_all()

    def fail(self) -> None:
        """Nothing more will come: whoever waits for the body is told at once."""
        with self._changed:
            self._has_failed = True
            self._changed.notify_all()

    def hurry(self, until: float) -> None:
        """Move the deadline forward."""
        with self._changed:
            self.deadline = min(self.deadline, until)
            self._changed.notify_all()

    def has_more_now(self) -> bool:
        return bool(self.body) or self.is_whole

    def take(self, limit: int) -> bytes:
        """Up to so many bytes of the body, empty at its end; BodyNotWholeError without them."""
        with self._changed:
            while not self.has_more_now():
                seconds = self.deadline - time.monotonic()
                if self._has_failed or seconds <= 0:
                    raise BodyNotWholeError("The request body did not arrive whole and in time")
                self._changed.wait(seconds)
            data = bytes(self.body[:limit])
            del self.body[:limit]
            return data


class LateBody(io.RawIOBase):
    """`wsgi.input` of a request that is being answered while its body is still on its way.

    `turns` bounds how many threads wait for bodies at once; `on_want` is called before each wait.
    """

    def __init__(
        self, request: HTTPRequest, turns: threading.Semaphore, on_want: Callable[[], None]
    ) -> None:
        self._request, self._turns, self._on_want = request, turns, on_want

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._request.has_more_now():
            self._on_want()
            if not self._turns.acquire(timeout=TURN_SECONDS):
                raise BodyNotWholeError("Too many requests are waiting for their bodies")
            try:
                data = self._request.take(len(buffer))
            finally:
                self._turns.release()
        else:
            data = self._request.take(len(buffer))
            self._on_want()
        buffer[: len(data)] = data
        return len(data)


_names: dict[bytes, str] = {}


def _environ_name(name: bytes) -> str:
    """The WSGI name of a header; empty for one with an underscore.

    `X_Forwarded_For` would become the same name as the `X-Forwarded-For` that a proxy has set.
    """
    key = _names.get(name)
    if key is None:
        text = name.decode("latin-1").upper()
        key = "" if "_" in text else text.replace("-", "_")
        if key and key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        if len(_names) < 500:  # strangers choose the names
            _names[name] = key
    return key


def _split(target: bytes) -> tuple[bytes, bytes]:
    """(path, query) of a request target, which proxies' clients send as a whole URL."""
    if target[:1] == b"/":
        path, _, query = target.partition(b"#")[0].partition(b"?")
        return path, query
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return target, b""
    return url.path or b"/", url.query or b""


def find_path(target: bytes) -> str:
    """The path as WSGI has it: percent-decoded, its bytes as latin-1."""
    path = _split(target)[0]
    return (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")


def make_environ(request: HTTPRequest, client: str, server: tuple[str, str]) -> dict[str, Any]:
    """The WSGI environ (PEP 3333) without its `wsgi.input`; header values are latin-1 strings."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": find_path(request.target),
        "QUERY_STRING": _split(request.target)[1].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": server[1],
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in request.headers:
        key = _environ_name(name)
        if not key:
            continue
        text = value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    return environ

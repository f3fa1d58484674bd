"""IMAPClient with a bound on every wait: second handles on its socket, and who shuts it in time."""

import contextlib
import imaplib
import queue
import socket
import ssl
import threading
import time

from django.conf import settings
from imapclient import IMAPClient

from support.delivery.socket_watch import SocketWatch
from support.delivery.stop_request import StopRequest

# What the command in hand may still take once this process was asked to end.
STOP_SECONDS = 4.0
TICK_SECONDS = 0.1


class Watchdog(threading.Thread):
    """Shuts the sockets when the time is over; `deadline` is a moment of time.monotonic()."""

    def __init__(self, watch: SocketWatch, stop: StopRequest) -> None:
        super().__init__(daemon=True)
        self.watch, self.stop = watch, stop
        self.deadline = self._stop_at = float("inf")
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(TICK_SECONDS):
            now = time.monotonic()
            if self.stop.is_made and self._stop_at == float("inf"):
                self._stop_at = now + STOP_SECONDS
            if now > min(self.deadline, self._stop_at):
                self.watch.abort()
                return


def _connect(host: str, port: int, watch: SocketWatch, seconds: float) -> socket.socket:
    """A watched socket; raise OSError, also where the watch is over before there is one.

    In a thread of its own, for nothing can shut a name's look-up or a connect.
    """
    outcome: queue.SimpleQueue[socket.socket | OSError] = queue.SimpleQueue()

    def connect() -> None:
        try:
            sock = socket.create_connection((host, port), seconds)
            watch.add(sock)
            outcome.put(sock)
        except OSError as exc:
            outcome.put(exc)

    threading.Thread(target=connect, daemon=True).start()
    while not watch.is_aborted:
        with contextlib.suppress(queue.Empty):
            found = outcome.get(timeout=TICK_SECONDS)
            if isinstance(found, OSError):
                raise found
            return found
    raise TimeoutError("no connection in time")


class _Protocol(imaplib.IMAP4):
    """imaplib's protocol over a watched socket; with a context, over TLS from the start."""

    def __init__(self, client: "Client", context: ssl.SSLContext | None) -> None:
        self._client, self._context = client, context
        super().__init__(client.host, client.port)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        sock = _connect(self.host, self.port, self._client.watch, self._client.seconds)
        if self._context is None:
            return sock
        try:
            return self._context.wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise


class Client(IMAPClient):
    """IMAPClient over watched sockets; `seconds`: what a command may take."""

    def __init__(self, watch: SocketWatch, seconds: float) -> None:
        self.watch, self.seconds = watch, seconds
        super().__init__(
            settings.IMAP_HOST,
            port=settings.IMAP_PORT,
            ssl=settings.IMAP_SECURITY == "tls",
            # The deadline decides; this only ends what it could not.
            timeout=seconds + 5,
        )

    def _create_IMAP4(self) -> _Protocol:  # noqa: N802  (IMAPClient's name)
        context = ssl.create_default_context() if self.ssl else None
        return _Protocol(self, context)

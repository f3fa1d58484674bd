"""One process of the web server: it accepts connections, keeps their time, and stops in order."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from ctxfy_support.serving.connection import Connection
from ctxfy_support.serving.http_request import HTTPRequest
from ctxfy_support.serving.threads import Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)

# Descriptors that connections must leave: the database, mail, log, files.
RESERVED_DESCRIPTORS = 200
MAX_CONNECTIONS = 10_000
MAX_EARLY_BYTES = 64 * 1024 * 1024
MAX_WAITING = 1_000

# A stop, in seconds after the signal; the last of them is within the ten of the contract.
IDLE_GRACE_SECONDS = 0.5
REQUEST_GRACE_SECONDS = 5.0
STOP_SECONDS = 8.5


@dataclass(frozen=True)
class Options:
    """What `manage.py serve` was told."""

    processes: int
    threads: int
    request_seconds: float


class WebProcess:
    """Connections, the loop they live in, and the threads that answer."""

    def __init__(
        self, listener: socket.socket, application: "WSGIApplication", options: Options
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.request_seconds = options.request_seconds
        self.connections: set[Connection] = set()
        # Those that hold no request, the longest waiting first.
        self.idle: dict[Connection, None] = {}
        self.early_bytes = 0
        self.max_early_bytes = MAX_EARLY_BYTES
        self._listener = listener
        self._max_connections = _raise_descriptor_limit()
        self._adopting: set[asyncio.Task[object]] = set()
        self._threads = Threads(
            application, count=options.threads, server=_name(listener), loop=self.loop
        )

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer until `stop` is set, then finish what is in hand."""
        self.loop.add_reader(self._listener, self._accept)
        while not stop.is_set():
            self._sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)
        await self._finish()

    def is_read_late(self, path: str) -> bool:
        return path.startswith(settings.PATHS_THAT_READ_BODIES_LATE)

    def hand_over(self, connection: Connection, request: HTTPRequest) -> None:
        """Give the request to the threads, or refuse it where too many wait already."""
        if len(self._threads) < MAX_WAITING:
            self._threads.answer(connection, request)
        else:
            connection.turn_away()

    def _accept(self) -> None:
        """Take one connection: the next is whoever's process is free first."""
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            logger.exception("A connection could not be accepted")
            self._make_room()
            return
        client.setblocking(False)
        if len(self.connections) >= self._max_connections:
            self._make_room()
        task: asyncio.Task[object] = self.loop.create_task(
            self.loop.connect_accepted_socket(lambda: Connection(self), client)
        )
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def _make_room(self) -> None:
        """Hang up on whoever has been idle longest, or take nobody in for a moment."""
        if self.idle:
            next(iter(self.idle)).abort()

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self.connections):
            if connection.deadline is not None and connection.deadline < now:
                connection.expire()

    async def _finish(self) -> None:
        """Accept what has been waiting, answer it, and see everybody off."""
        started = time.monotonic()
        self._threads.is_stopping = True
        self.loop.remove_reader(self._listener)
        self._accept_all()
        self._listener.close()
        while (self.connections or self._adopting) and time.monotonic() < started + STOP_SECONDS:
            for connection in list(self.connections):
                connection.hurry(started + IDLE_GRACE_SECONDS, started + REQUEST_GRACE_SECONDS)
            self._sweep()
            await asyncio.sleep(0.05)
        if self.connections:
            logger.warning("Stopped with %s connections still open", len(self.connections))
        self._threads.stop(started + STOP_SECONDS)

    def _accept_all(self) -> None:
        """A connection that the kernel has accepted is in flight: its client has sent already."""
        for _ in range(MAX_CONNECTIONS):
            before = len(self._adopting)
            self._accept()
            if len(self._adopting) == before:
                return


async def run(
    listener: socket.socket, application: "WSGIApplication", options: Options, parent: int
) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the parent (its end of a pipe closes)."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def stop_now() -> None:
        loop.remove_reader(parent)
        stop.set()

    loop.add_reader(parent, stop_now)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    await WebProcess(listener, application, options).serve(stop)


def _name(listener: socket.socket) -> tuple[str, str]:
    host, port = listener.getsockname()[:2]
    return str(host), str(port)


def _raise_descriptor_limit() -> int:
    """Let this process open what it may; return how many connections that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_CONNECTIONS + RESERVED_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit - RESERVED_DESCRIPTORS, limit // 2)

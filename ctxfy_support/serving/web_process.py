"""One process of the web server: uvicorn on the socket that all share, and how it stops."""

import asyncio
import contextlib
import resource
import select
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from ctxfy_support.serving.connection import Connection
from ctxfy_support.serving.threads import Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Descriptors that connections must leave: the database, mail, log, files.
RESERVED_DESCRIPTORS = 200
MAX_CONNECTIONS = 10_000
BACKLOG = 4096
# More, and the first process to wake would take everybody.
ACCEPTED_AT_ONCE = 1
ACCEPT_GRACE_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 75  # More than a proxy's own (nginx: 60), so that the proxy hangs up first.
# After a signal; with what else a stop takes it is within the ten of the contract.
STOP_SECONDS = 8
REQUEST_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """What `manage.py serve` was told."""

    processes: int
    threads: int
    request_seconds: float


class Config(uvicorn.Config):
    """uvicorn's, and what all connections of a process share."""

    def __init__(self, application: Threads, request_seconds: float) -> None:
        super().__init__(
            application,
            http=Connection,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            workers=1,
            proxy_headers=False,  # TRUSTED_PROXIES says whom to believe (transport_security.py).
            server_header=False,
            backlog=ACCEPTED_AT_ONCE,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self.request_seconds = request_seconds
        self.max_connections = _raise_descriptor_limit()
        # Those that hold no request, the longest waiting first.
        self.idle: dict[Connection, None] = {}
        self.is_stopping = False


class Server(uvicorn.Server):
    """Stops without losing what has reached it."""

    config: Config

    def __init__(self, config: Config, threads: Threads) -> None:
        super().__init__(config)
        self._threads = threads

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to run(): uvicorn would end by raising them again."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # asyncio has set the kernel's queue to what it accepts at once.
        for listener in sockets or ():
            listener.listen(BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.is_stopping = True
        loop = asyncio.get_running_loop()
        self._threads.patience.end(loop.time() + REQUEST_GRACE_SECONDS)
        # A connection that the kernel has accepted is in flight.
        until = loop.time() + ACCEPT_GRACE_SECONDS
        while select.select(sockets or (), (), (), 0)[0] and loop.time() < until:
            await asyncio.sleep(0)
        await super().shutdown(sockets)
        # What Django does after an answer; the supervisor does not wait for ever.
        await loop.run_in_executor(None, self._threads.stop)


async def run(
    listener: socket.socket, application: "WSGIApplication", options: Options, parent: int
) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the parent (its end of a pipe closes)."""
    loop = asyncio.get_running_loop()
    threads = Threads(application, options.threads)
    server = Server(Config(threads, options.request_seconds), threads)

    def stop() -> None:
        loop.remove_reader(parent)
        server.should_exit = True

    loop.add_reader(parent, stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    await server.serve(sockets=[listener])


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

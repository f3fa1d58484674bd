"""One process of the web server: uvicorn on the socket that all share, and how it stops."""

import asyncio
import contextlib
import select
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from ctxfy_support.serving.config import Config
from ctxfy_support.serving.connection import Connection
from ctxfy_support.serving.threads import Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BACKLOG = 4096
ACCEPT_GRACE_SECONDS = 0.5
REQUEST_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """What `manage.py serve` was told."""

    processes: int
    threads: int
    request_seconds: float


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
    server = Server(Config(threads, Connection, options.request_seconds), threads)

    def stop() -> None:
        loop.remove_reader(parent)
        server.should_exit = True

    loop.add_reader(parent, stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    await server.serve(sockets=[listener])

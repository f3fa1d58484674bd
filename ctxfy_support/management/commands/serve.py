"""`manage.py serve`: the production web process, in the foreground until SIGTERM."""

import asyncio
import gc
import logging
import os
import socket
import sys
from argparse import ArgumentParser
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandError

from ctxfy_support import VERSION
from ctxfy_support.serving.supervisor import Supervisor
from ctxfy_support.serving.web_process import BACKLOG, Options, run
from ctxfy_support.start import log_what_nobody_catches

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Serves the API and the back-office until SIGTERM, which lets it finish what it has."
    # Each process logs the warnings that matter here, as a line like the others; see start.py.
    requires_system_checks = ()

    def get_version(self) -> str:
        return VERSION

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--processes",
            type=int,
            default=max(2, os.cpu_count() or 1),
            help="how many share the port; one for each core is best (default: %(default)s)",
        )
        parser.add_argument(
            "--threads",
            type=int,
            default=4,
            help="requests that each process answers at once (default: %(default)s)",
        )
        parser.add_argument(
            "--request-seconds",
            type=float,
            default=15.0,
            help="how long a client may take to send a request (default: %(default)s)",
        )

    def handle(self, *, host: str, port: int, **options: Any) -> None:
        processes, threads = options["processes"], options["threads"]
        if min(processes, threads) < 1:
            raise CommandError("--processes and --threads must be at least 1", returncode=2)
        chosen = Options(processes, threads, options["request_seconds"])
        log_what_nobody_catches()
        listener = self.listen(host, port)

        def serve(pipe: int) -> None:
            # Here, not above: what starts threads must be imported after the fork.
            from ctxfy_support.wsgi import application

            gc.freeze()  # Nothing of all this is garbage, so no request waits for a look at it.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run(listener, application, chosen, pipe))

        logger.info(
            "Serving http://%s:%s with %s processes of %s threads", host, port, processes, threads
        )
        sys.exit(Supervisor(processes, serve).run(listener.close))

    def listen(self, host: str, port: int) -> socket.socket:
        """The listening socket that all processes share."""
        try:
            family, *_, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        except OSError as exc:
            raise CommandError(f"Cannot serve on {host}:{port}: {exc.strerror}") from None
        listener.setblocking(False)
        # Connections inherit it: head and body go out in two writes, and neither waits for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener

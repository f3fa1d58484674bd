"""`make run`: the service on this machine, with somebody to be and something to try."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

START_SECONDS = 30


class Command(BaseCommand):
    help = "Serves the API on this machine with a demonstration account; for development alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--secrets",
            type=Path,
            default=settings.BASE_DIR / ".demo.json",
            metavar="FILE",
            help="where the demonstration's key and password are kept",
        )

    def handle(self, *, port: int, secrets: Path, **options: object) -> None:
        if not settings.DEBUG:
            raise CommandError("serve_demo needs DEBUG=true: it creates accounts", returncode=2)
        if self.answers(port):
            raise CommandError(
                f"Port {port} is in use; try: make run PORT={port + 1}", returncode=2
            )
        call_command("migrate", verbosity=0)
        call_command("create_demo_account", secrets=secrets)
        demo: dict[str, str] = json.loads(secrets.read_text())
        call_command("create_demo_tickets", "--if-empty", stdout=self.stdout)
        environment = self.environment(demo, port)
        server = self.start(
            environment, "manage.py", "serve", "--port", str(port), "--processes", "1"
        )
        worker = self.start(environment, "manage.py", "resend_failed_emails", "--watch")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self.wait_until_ready(server, port)
            self.print_welcome(demo, port)
            server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            for process in (server, worker):
                process.terminate()
            for process in (server, worker):
                process.wait()

    def environment(self, demo: dict[str, str], port: int) -> dict[str, str]:
        """What is set already, and what a demonstration needs beside it."""
        environment = {
            "DEBUG": "true",
            "SECRET_KEY": demo["secret_key"],
            "SITE_URL": f"http://127.0.0.1:{port}",
            **os.environ,
        }
        if not settings.SUPPORT_EMAIL:
            environment |= {
                "SUPPORT_EMAIL": "support@example.com",
                "SUPPORT_EMAIL_SENDER": "console",
            }
        return environment

    def start(self, environment: dict[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
        # Its own session: Ctrl-C reaches this process alone, which then stops them in order.
        return subprocess.Popen(  # noqa: S603  (our own interpreter and arguments)
            [sys.executable, *arguments],
            env=environment,
            cwd=settings.BASE_DIR,
            start_new_session=True,
        )

    def answers(self, port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def wait_until_ready(self, server: "subprocess.Popen[bytes]", port: int) -> None:
        end = time.monotonic() + START_SECONDS
        while not self.answers(port):
            if server.poll() is not None or time.monotonic() > end:
                raise CommandError("The server did not start; its own words are above")
            time.sleep(0.05)

    def print_welcome(self, demo: dict[str, str], port: int) -> None:
        url = f"http://127.0.0.1:{port}"
        self.stdout.write(
            f"""
Ctxfy support is at {url}. Open a ticket (paste this into another terminal):

  curl -X POST "{url}/v1/support/tickets" \\
    -H "Content-Type: application/json" \\
    -H "Authorization: Bearer {demo["api_key"]}" \\
    -d '{{"type": "billing", "reply_address": "ada@example.com", \
"message": "Charged twice in October."}}'

The back-office is at {url}/admin/ (user agent, password {demo["agent_password"]}).
Ctrl-C stops it.
"""
        )
        self.stdout.flush()

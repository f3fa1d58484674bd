"""The proxies of deploy/, run as they stand but for names, ports, certificate and patience."""

import contextlib
import http.client
import io
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import trustme

from ctxfy_support.tests.loopback import HOST, LoopbackServer, reserve_port
from ctxfy_support.tests.processes import PROJECT_DIRECTORY, START_SECONDS, Process

DEPLOY = PROJECT_DIRECTORY / "deploy"
NAME = "support.example.com"
SITE = """
pid {directory}/pid;
error_log stderr;
daemon off;
worker_processes 1;
{user}
events {{}}
http {{
    access_log off;
    {temporary}
    include site.conf;
}}
"""


def require(program):
    """The program's path; where it is missing, CI fails and everybody else skips the test."""
    if path := shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{program} is missing, and CI must try every file of deploy/")
    pytest.skip(f"{program} is not installed")


@cache
def authority():
    return trustme.CA()


def replace(text, *changes):
    """Each change (pattern, new) must find something, or the sample has moved on."""
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text)
        assert count, f"nothing like {pattern}"
    return text


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes
    connection: int


class Upstream(LoopbackServer):
    """An HTTP server that answers 200 to everything and keeps what it was asked in `messages`.

    `faults` has one stage, "request".
    """

    def converse(self, channel):
        while line := channel.file.readline():
            method, path, _ = line.decode().split()
            head = http.client.parse_headers(channel.file)
            body = self._read_body(channel.file, head)
            headers = {name.lower(): value for name, value in head.items()}
            self.messages.append(Request(method, path, headers, body, channel.number))
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            if fault := self.faults.take("request"):
                fault.strike(channel, answer)
            else:
                channel.send(answer)

    def _read_body(self, file, head):
        if "chunked" not in head.get("Transfer-Encoding", ""):
            size = int(head.get("Content-Length", 0))
            body = file.read(size)
            if len(body) < size:
                raise ConnectionAbortedError
            return body
        body = io.BytesIO()
        while size := int(file.readline() or b"-1", 16):
            if size < 0:
                raise ConnectionAbortedError
            body.write(file.read(size))
            file.readline()
        file.readline()
        return body.getvalue()


class Proxy(Process):
    """A proxy before the addresses of `upstreams`, over TLS and in the clear."""

    def __init__(self, *upstreams, patience=60):
        super().__init__(env={})
        self.upstreams, self.patience = upstreams, patience
        self._reservations = [reserve_port(), reserve_port()]
        self.tls_port, self.plain_port = (r.getsockname()[1] for r in self._reservations)

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="proxy-"))
        certificate = authority().issue_cert(NAME)
        certificate.private_key_pem.write_to_path(self.directory / "privkey.pem")
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        (self.directory / "fullchain.pem").write_bytes(chain)
        self.command = self.configure()
        return super().__enter__()

    def __exit__(self, *exc_info):
        super().__exit__(*exc_info)
        for reservation in self._reservations:
            reservation.close()
        shutil.rmtree(self.directory)

    def configure(self):
        """Write the configuration and return the command."""
        raise NotImplementedError

    def start(self):
        super().start()
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                self.connect().close()
                return
            assert self.status is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def connect(self, *, tls=True):
        """A connection to the proxy, under the service's own name."""
        port = self.tls_port if tls else self.plain_port
        connection = socket.create_connection((HOST, port), timeout=30)
        if not tls:
            return connection
        context = ssl.create_default_context()
        authority().configure_trust(context)
        return context.wrap_socket(connection, server_hostname=NAME)

    def request(self, method, path, body=None, headers=(), *, tls=True):
        """The answer, read whole: `status`, `headers`, `body`."""
        connection = http.client.HTTPConnection(NAME)
        connection.sock = self.connect(tls=tls)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer

    def send_raw(self, request):
        with self.connect() as connection:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            answer.body = answer.read()
            return answer


class Nginx(Proxy):
    def configure(self):
        program = require("nginx")
        servers = "\n".join(f"server {address} max_fails=0;" for address in self.upstreams)
        site = replace(
            (DEPLOY / "nginx.conf").read_text(),
            (r"server 127\.0\.0\.1:8000 .*", servers),
            (r"server 127\.0\.0\.1:8001 .*", ""),
            (r"listen \[::\].*", ""),
            (r"listen 80;", f"listen {HOST}:{self.plain_port};"),
            (r"listen 443 ", f"listen {HOST}:{self.tls_port} "),
            (r"/etc/ssl/ctxfy-support", str(self.directory)),
            (r"proxy_read_timeout 60s", f"proxy_read_timeout {self.patience}s"),
        )
        (self.directory / "site.conf").write_text(site)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = self.directory / "nginx.conf"
        configuration.write_text(
            SITE.format(directory=self.directory, temporary=temporary, user=user)
        )
        return [program, "-p", str(self.directory), "-e", "stderr", "-c", str(configuration)]


class Caddy(Proxy):
    def configure(self):
        program = require("caddy")
        directory = self.directory
        certificate = f"tls {directory}/fullchain.pem {directory}/privkey.pem"
        site = replace(
            (DEPLOY / "Caddyfile").read_text(),
            (r"\A((?:#.*\n)*)\{", rf"\1{{\nadmin off\nhttp_port {self.plain_port}"),
            (r"\n\{\$SUPPORT_HOST(.*)\{", rf"\nhttps://{NAME}:{self.tls_port} {{\n{certificate}"),
            (r"\nhttp://\{\$SUPPORT_HOST(.*)\{", rf"\nhttp://{NAME} {{"),
            (r"response_header_timeout 60s", f"response_header_timeout {self.patience}s"),
        )
        configuration = directory / "Caddyfile"
        configuration.write_text(site)
        # Where it keeps what it knows.
        home = {"XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
        self.env |= home | {"SUPPORT_UPSTREAMS": " ".join(self.upstreams)}
        return [program, "run", "--config", str(configuration), "--adapter", "caddyfile"]


def check(command, **kwargs):
    """Run a command that must succeed; return what it printed."""
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **kwargs
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr

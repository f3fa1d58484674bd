"""Clients without a key that keep a server busy by not finishing, over loopback alone.

Each attack opens its connections, and then goes on as slowly as it can until it is stopped; what
the server hangs up on is opened again. `Attack(service, kind, count)` is a context manager, and so
is `Guessers(service, count, what)`, whose clients guess passwords, each try from another network,
or send API keys, all from one network.
"""

import argparse
import contextlib
import functools
import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlencode

from accounts import api_keys
from ctxfy_support.tests.loopback import HOST
from ctxfy_support.tests.processes import PROJECT_DIRECTORY

_JSON = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
_FORM = b"Host: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
_FRAME = b"\x00\x00\x10\x01\x04"  # HEADERS of 16 bytes, not the last of its stream


def _http2():
    """A preface, empty SETTINGS, and forty streams whose requests never end."""
    streams = b"".join(
        # :method POST, :scheme http, :path /, :authority of nine bytes
        _FRAME + (2 * number + 1).to_bytes(4, "big") + b"\x83\x86\x84\x41\x09127.0.0.1\x00"[:16]
        for number in range(40)
    )
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + streams


# kind: (what is sent at once, what is dripped every DRIP_SECONDS)
KINDS = {
    "chunked bodies that stop": (
        b"POST /v1/support/tickets HTTP/1.1\r\n" + _JSON
        + b"Transfer-Encoding: chunked\r\n\r\n20\r\n{}", b"",
    ),
    "chunked bodies that stop, elsewhere": (
        b"POST /docs HTTP/1.1\r\n" + _JSON + b"Transfer-Encoding: chunked\r\n\r\n20\r\n{}", b"",
    ),
    "dripping log-in bodies": (
        b"POST /admin/login/ HTTP/1.1\r\n" + _FORM + b"Content-Length: 9000\r\n\r\nusername=", b"a",
    ),
    "idle connections": (b"", b""),
    "half heads": (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"a"),
    "unfinished HTTP/2 streams": (_http2(), b""),
}  # fmt: skip
DRIP_SECONDS = 0.5
FLOODING = "127.9.9.9"


class Attack:
    """So many clients of one kind, kept up by one thread."""

    def __init__(self, service, kind, count):
        self._port = service.port
        self._first, self._drip = KINDS[kind]
        self._sockets = [None] * count
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self):
        self._keep_up()
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._stopping.set()
        self._thread.join()
        for connection in filter(None, self._sockets):
            connection.close()

    def _go_on(self):
        while not self._stopping.wait(DRIP_SECONDS):
            self._keep_up()

    def _keep_up(self):
        for number, connection in enumerate(self._sockets):
            if self._stopping.is_set():
                return
            if connection is None or not self._is_held(connection):
                if connection:
                    connection.close()
                self._sockets[number] = self._open()

    def _open(self):
        with contextlib.suppress(OSError):
            connection = socket.create_connection((HOST, self._port), timeout=5)
            connection.sendall(self._first)
            return connection

    def _is_held(self, connection):
        """Whether the server still holds the connection; sends the next drop."""
        try:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                if connection.recv(4096) == b"":
                    return False
            connection.send(self._drip)
        except OSError:
            return False
        return True


class Guessers:
    """So many clients that try fresh names over and over, in a process of their own.

    `what`: "passwords"; "keys" for fresh ones that look right; or the key that all of them send.
    """

    def __init__(self, service, count, what="passwords"):
        self._arguments = [str(service.port), str(count), what]

    def __enter__(self):
        command = [sys.executable, "-m", "ctxfy_support.tests.attacks", *self._arguments]
        self._process = subprocess.Popen(command, cwd=PROJECT_DIRECTORY)

    def __exit__(self, *exc_info):
        self._process.kill()
        self._process.wait()


def guess_for_ever(port, number):
    """Try a name that nobody has, from one address of the loopback network after the other."""
    page = http.client.HTTPConnection(HOST, port, timeout=30)
    page.request("GET", "/admin/login/")
    cookie = page.getresponse().getheader("Set-Cookie")
    token = re.match(r"csrftoken=(\w+)", cookie)[1]
    headers = {
        "Cookie": f"csrftoken={token}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    for attempt in range(10**6):
        form = {
            "csrfmiddlewaretoken": token,
            "username": f"name-{number}-{attempt}",
            "password": "guessed",
        }
        address = f"127.{1 + number}.{attempt // 250 % 250}.{1 + attempt % 250}"
        guess = http.client.HTTPConnection(HOST, port, timeout=30, source_address=(address, 0))
        with contextlib.suppress(OSError, http.client.HTTPException):
            guess.request("POST", "/admin/login/", urlencode(form), headers)
            guess.getresponse().read()
        guess.close()


def send_for_ever(port, number, key=""):
    """Send this key, or one that nobody has after the other, from one network."""
    while True:
        client = http.client.HTTPConnection(HOST, port, timeout=30, source_address=(FLOODING, 0))
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                bearer = {"Authorization": f"Bearer {key or api_keys.generate()}"}
                client.request("GET", "/v1/api-keys", headers=bearer)
                client.getresponse().read()
        client.close()


def watch(ask, seconds):
    """Call `ask` again and again for so long; return the seconds that each call took, sorted."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        ask()
        times.append(time.monotonic() - started)
        time.sleep(0.01)
    return sorted(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("what")
    options = parser.parse_args()
    attack = guess_for_ever
    if options.what != "passwords":
        key = "" if options.what == "keys" else options.what
        attack = functools.partial(send_for_ever, key=key)
    for number in range(options.count):
        threading.Thread(target=attack, args=(options.port, number)).start()


if __name__ == "__main__":
    main()

"""Clients with a kept connection each, in a process of their own.

    python -m ctxfy_support.tests.load PORT METHOD PATH KEY --clients 16 --requests 2000 --body JSON

prints one JSON object: answers by status, seconds for all, p50 and p99 in milliseconds. It writes
bytes and reads bytes, so that little of the machine goes into the clients.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import time
from collections import Counter

from ctxfy_support.tests.loopback import HOST

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Client(asyncio.Protocol):
    """Sends one request after the other until there are no more to send."""

    def __init__(self, request, budget, times, statuses):
        self.request, self.budget, self.times, self.statuses = request, budget, times, statuses
        self.done = asyncio.get_running_loop().create_future()
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def connection_lost(self, exc):
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("hung up on"))

    def send(self):
        if next(self.budget, None) is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data):
        self.received += data
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = int(LENGTH.search(self.received, 0, head + 2)[1])
        if len(self.received) >= head + 4 + length:
            self.times.append(time.perf_counter() - self.began)
            self.statuses[int(self.received[9:12])] += 1
            self.received = b""
            self.send()


def make_request(method, path, key, body):
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}",
        f"Authorization: Bearer {key}",
        "Accept: */*",
        "User-Agent: load",
    ]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    return "\r\n".join([*head, "", body]).encode()


async def run(options):
    budget, times, statuses = iter(range(options.requests)), [], Counter()
    request = make_request(options.method, options.path, options.key, options.body)
    loop, clients = asyncio.get_running_loop(), []
    began = time.perf_counter()
    for _ in range(options.clients):
        _, client = await loop.create_connection(
            lambda: Client(request, budget, times, statuses), HOST, options.port
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - began
    cuts = statistics.quantiles(times, n=100)
    return {
        "statuses": statuses,
        "seconds": seconds,
        "p50": cuts[49] * 1000,
        "p99": cuts[98] * 1000,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("method")
    parser.add_argument("path")
    parser.add_argument("key")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--body", default="")
    json.dump(asyncio.run(run(parser.parse_args())), sys.stdout)


if __name__ == "__main__":
    main()

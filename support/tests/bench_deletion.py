"""What a POST waits while old tickets are deleted, on PostgreSQL.

    python -m support.tests.bench_deletion --tickets 200000

fills a database of its own, deletes the older half of it beside clients that post, and prints
POST's times before, during and after.
"""

import argparse
import statistics
import sys
import time

import psycopg

from ctxfy_support.tests.bench import load
from ctxfy_support.tests.chaos import prepare
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import CommandProcess, ServiceProcess
from support.tests.back_office import many_tickets

CLIENTS = 4
REQUESTS = 1_000
ROUNDS = 5
PATH = "/v1/support/tickets"


def measure(port, key, when, *, until):
    """Post until that is so, ROUNDS times at least where it is None; print what it took."""
    rounds = []
    while len(rounds) < ROUNDS if until is None else not until():
        rounds.append(load(port, "POST", PATH, key, clients=CLIENTS, count=REQUESTS))
    p50, p99 = (statistics.median(said[name] for said in rounds) for name in ("p50", "p99"))
    worst = max(said["p99"] for said in rounds)
    print(
        f"{when}: p50 {p50:.1f} ms, p99 {p99:.1f} ms (worst of {len(rounds)} rounds of {REQUESTS}"
        f" requests: {worst:.1f} ms)",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=200_000)
    options = parser.parse_args()
    with PostgresServer() as server:
        key = prepare(server.url)
        many_tickets.fill(server.url, options.tickets)
        with psycopg.connect(server.url) as connection:
            query = (
                "SELECT count(*) FROM support_tickets WHERE solved_at < now() - interval '365 days'"
            )
            print(f"{connection.execute(query).fetchone()[0]} of {options.tickets} are old")
        env = {"DATABASE_URL": server.url}
        with ServiceProcess(env=env, processes=2) as service:
            measure(service.port, key, "before", until=None)
            began = time.monotonic()
            arguments = ("delete_old_tickets", "--older-than", "365")
            with CommandProcess(*arguments, env=env) as command:
                measure(service.port, key, "during", until=lambda: command.status is not None)
                print(f"{command.output.strip()} in {time.monotonic() - began:.0f} s")
            measure(service.port, key, "after", until=None)


if __name__ == "__main__":
    sys.exit(main())

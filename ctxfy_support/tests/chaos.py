"""The API's bars that take minutes: 100,000 bodies, 10,000 replays, restarts under load.

`make chaos`, or `python -m ctxfy_support.tests.chaos [--bars R1,R4] [--bodies N]`, prints a line
for each bar with its figures and exits 1 where one is missed. Each bar has a service of its own on
SQLite or PostgreSQL; test_hostile_requests.py, test_idempotency.py, test_database_away.py and
test_rate_limit.py run the same, short.
"""

import argparse
import http.client
import json
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ctxfy_support.tests.hostile import TICKET, generate_body
from ctxfy_support.tests.loopback import HOST
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import ServiceProcess, run_command
from ctxfy_support.tests.smtp_server import SMTPServer

PATH = "/v1/support/tickets"
CLIENTS = 8


class Client:
    """One client with a connection that it keeps."""

    def __init__(self, service, key):
        self.service, self.key = service, key
        self.connection = http.client.HTTPConnection(HOST, service.port, timeout=60)

    def post(self, body, **headers):
        """(status, headers with lower-case names, body)"""
        headers |= {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            self.connection.request("POST", PATH, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except BaseException:
            self.connection.close()
            raise
        if answer.status != 201:
            # The server hangs up on a body that it did not need to read; so do we.
            self.connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content


@contextmanager
def sqlite():
    with tempfile.TemporaryDirectory() as directory:
        yield f"sqlite:///{Path(directory) / 'chaos.sqlite3'}"


@contextmanager
def postgresql():
    with PostgresServer() as server:
        yield server.url


DATABASES = {"SQLite": sqlite, "PostgreSQL": postgresql}


def prepare(url, limit=100_000_000):
    """An empty database with one account; return its key."""
    env = {"DATABASE_URL": url}
    for command in (
        ("migrate",),
        ("set_plan", "chaos", "--requests-per-minute", str(limit)),
        ("set_account", "ada", "--plan", "chaos"),
    ):
        done = run_command(*command, env=env)
        assert done.returncode == 0, done.stderr
    return run_command("create_api_key", "ada", env=env).stdout.strip()


def report(bar, database, passed, figures):
    print(f"{bar} {database}: {figures}: {'passed' if passed else 'MISSED'}", flush=True)
    return passed


def is_well_answered(status, headers, content):
    answer = json.loads(content)
    return (
        status < 500
        and headers["content-type"] == "application/json"
        and (status == 201 or answer["code"] == status)
    )


def run_bodies(database, bodies):
    """R1: generated bodies, from good tickets to noise."""
    with DATABASES[database]() as url, ServiceProcess(env={"DATABASE_URL": url}) as service:
        key = prepare(url)

        def send(seed):
            rng, client, counts = random.Random(seed), Client(service, key), Counter()
            for _ in range(bodies // CLIENTS):
                answer = client.post(generate_body(rng))
                counts[answer[0] if is_well_answered(*answer) else f"bad {answer[0]}"] += 1
            return counts

        with ThreadPoolExecutor(CLIENTS) as threads:
            counts = sum(threads.map(send, range(CLIENTS)), Counter())
    figures = ", ".join(f"{count} of {status}" for status, count in sorted(counts.items()))
    return report("R1", database, set(counts) == {201, 400}, figures)


def run_replays(database, keys):
    """R4: twenty clients send every key at once; a mail each, and one body."""
    with (
        DATABASES[database]() as url,
        SMTPServer() as smtp,
        ServiceProcess(env={"DATABASE_URL": url, **smtp.env}, blocking_threads=20) as service,
    ):
        key = prepare(url)

        def send(_):
            client = Client(service, key)
            return [
                (number, *client.post(json.dumps(TICKET), **{"Idempotency-Key": f"k{number}"})[::2])
                for number in range(keys)
            ]

        with ThreadPoolExecutor(20) as threads:
            answers = Counter(row for rows in threads.map(send, range(20)) for row in rows)
        changed = Client(service, key).post(
            json.dumps(TICKET | {"type": "other"}), **{"Idempotency-Key": "k0"}
        )[0]
        mails = len(smtp.messages)
    equal = sum(answers.values()) if len(answers) == keys else 0
    passed = equal == 20 * keys and mails == keys and changed == 422
    passed = passed and {status for _, status, _ in answers} == {201}
    figures = f"{equal} equal bodies of {20 * keys}, {mails} mails, other content {changed}"
    return report("R4", database, passed, figures)


def run_restarts(restarts):
    """R5: PostgreSQL restarted, stopped and killed in turn under load."""
    with PostgresServer() as postgres:
        key = prepare(postgres.url)
        with ServiceProcess(env={"DATABASE_URL": postgres.url}) as service:
            stopping, stored, counts, wrong, slowest = [], [], Counter(), [], [0.0]

            def load(_):
                client = Client(service, key)
                while not stopping:
                    started = time.monotonic()
                    status, headers, content = client.post(json.dumps(TICKET))
                    slowest[0] = max(slowest[0], time.monotonic() - started)
                    counts[status] += 1
                    answer = json.loads(content)
                    if status == 201:
                        stored.append(answer["id"])
                    elif status != 503 or "retry-after" not in headers or answer["code"] != 503:
                        wrong.append(content)

            with ThreadPoolExecutor(CLIENTS) as threads:
                running = [threads.submit(load, number) for number in range(CLIENTS)]
                longest = 0.0
                for number in range(restarts):
                    time.sleep(0.5)
                    (postgres.stop, postgres.kill)[number % 2]()
                    time.sleep(0.3)
                    postgres.start()
                    back, seen = time.monotonic(), len(stored)
                    while len(stored) == seen and time.monotonic() - back < 10:
                        time.sleep(0.01)
                    longest = max(longest, time.monotonic() - back)
                stopping.append(True)
                for future in running:
                    future.result()
            listed = run_command(
                "shell",
                "-c",
                "from support.models import Ticket; print(*Ticket.objects.values_list('id'))",
                env={"DATABASE_URL": postgres.url},
            ).stdout
    lost = sum(ticket not in listed for ticket in stored)
    figures = (
        f"{restarts} outages, {counts[201]} of 201, {counts[503]} of 503, {len(wrong)} others, "
        f"{lost} lost, back after {longest:.2f} s at most, slowest answer {slowest[0]:.2f} s"
    )
    return report("R5", "PostgreSQL", not wrong and not lost and longest < 1, figures)


def run_limits(database, rounds):
    """R13: 64 concurrent requests on two processes, of which 20 are allowed."""
    let_through = []
    for _ in range(rounds):
        with DATABASES[database]() as url:
            key = prepare(url, limit=20)
            env = {"DATABASE_URL": url}
            with ServiceProcess(env=env) as one, ServiceProcess(env=env) as other:

                def ask(number, services=(one, other), key=key):
                    client = Client(services[number % 2], key)
                    return client.post(json.dumps(TICKET))[0]

                with ThreadPoolExecutor(64) as threads:
                    let_through.append(list(threads.map(ask, range(128))).count(201))
    figures = f"let through {sorted(set(let_through))} of 128, 20 allowed, {rounds} rounds"
    return report("R13", database, set(let_through) == {20}, figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bars", default="R1,R4,R5,R13")
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bars = options.bars.split(",")
    results = []
    for database in DATABASES:
        if "R4" in bars:
            results.append(run_replays(database, options.keys))
        if "R13" in bars:
            results.append(run_limits(database, options.rounds))
    if "R5" in bars:
        results.append(run_restarts(options.restarts))
    if "R1" in bars:
        results.append(run_bodies("PostgreSQL", options.bodies))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

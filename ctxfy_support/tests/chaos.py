"""The API's bars that take minutes: 100,000 bodies, 10,000 replays, restarts, attacks, stops.

`make chaos`, or `python -m ctxfy_support.tests.chaos [--bars R1,R4] [--bodies N]`, prints a line
for each bar with its figures and exits 1 where one is missed. Each bar has a service of its own on
SQLite or PostgreSQL; test_hostile_requests.py, test_idempotency.py, test_database_away.py,
test_rate_limit.py and test_serve.py run the same, short.
"""

import argparse
import http.client
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ctxfy_support.tests.attacks import Attack, Guessers, watch
from ctxfy_support.tests.hostile import TICKET, generate_body
from ctxfy_support.tests.loopback import HOST, free_port
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import (
    PROJECT_DIRECTORY,
    ServiceProcess,
    make_environment,
    run_command,
)
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
            self.sent = math.inf
            self.connection.request("POST", PATH, body, headers)
            self.sent = time.monotonic()
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
        ServiceProcess(env={"DATABASE_URL": url, **smtp.env}, threads=20) as service,
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


# Clients of each kind, all without a key.
ATTACKS = {
    "chunked bodies that stop": 40,
    "chunked bodies that stop, elsewhere": 40,
    "dripping log-in bodies": 200,
    "idle connections": 1_200,
    "half heads": 300,
    "unfinished HTTP/2 streams": 40,
    "clients that guess passwords": 40,
    "clients that send useless keys": 40,
}
GUESSES = {"clients that guess passwords": "passwords", "clients that send useless keys": "keys"}
GOOD_SECONDS = 2.0


def run_attacks(seconds):
    """R15: a good client before, during and after each attack, on a connection of its own."""
    passed = []
    with postgresql() as url, ServiceProcess(env={"DATABASE_URL": url}, processes=2) as service:
        key = prepare(url)

        def ask():
            client = Client(service, key)
            status = client.post(json.dumps(TICKET))[0]
            client.connection.close()
            assert status == 201, status

        watch(ask, 2)
        for kind, count in ATTACKS.items():
            before = watch(ask, seconds)
            what = GUESSES.get(kind)
            with Guessers(service, count, what) if what else Attack(service, kind, count):
                during = watch(ask, seconds)
            after = watch(ask, 3)
            figures = (
                f"{count} {kind}: a ticket in {milliseconds(before)} ms before, "
                f"{milliseconds(during)} during, {milliseconds(after)} after (median, p99, worst)"
            )
            passed.append(
                report("R15", "PostgreSQL", max(during[-1], after[-1]) < GOOD_SECONDS, figures)
            )
    return all(passed)


def milliseconds(times):
    chosen = (times[len(times) // 2], times[len(times) * 99 // 100], times[-1])
    return "/".join(f"{seconds * 1000:.0f}" for seconds in chosen)


def run_stops(stops):
    """R16: SIGTERM to the web process alone under load; every fifth within a second of the start.

    In flight is what was sent before the signal: its answer must come. What is sent later may find
    nobody.
    """
    early, late = [], []
    unanswered = answered = 0
    statuses = Counter()
    with postgresql() as url:
        key = prepare(url)
        for number in range(stops):
            if number % 5 == 4:
                status, seconds = stop_at_start(url, random.uniform(0.1, 1.0))
                early.append(seconds)
            else:
                status, seconds, outcome = stop_under_load(url, key)
                late.append(seconds)
                answered, unanswered = answered + outcome[True], unanswered + outcome[False]
            statuses[status] += 1
    slowest = max(early + late)
    figures = (
        f"{stops} stops, {len(early)} of them within a second of the start, exit statuses "
        f"{dict(statuses)}, gone after {slowest:.2f} s at most, {answered} requests in flight "
        f"answered, {unanswered} not"
    )
    passed = set(statuses) == {0} and slowest < 10 and not unanswered
    return report("R16", "PostgreSQL", passed, figures)


def stop_at_start(url, seconds):
    """(exit status, seconds until it was gone)"""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(free_port())],
        cwd=PROJECT_DIRECTORY,
        env=make_environment({"DATABASE_URL": url}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(seconds)
        return terminate(process)
    finally:
        process.kill()


def terminate(process):
    started = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    return process.wait(30), time.monotonic() - started


def stop_under_load(url, key):
    """(exit status, seconds, how many requests sent before the signal were answered or not)"""
    outcome, signalled = Counter(), []
    with ServiceProcess(env={"DATABASE_URL": url}, processes=2) as service:

        def load(number):
            """Even ones keep their connection, odd ones take a new one for each request."""
            client = Client(service, key)
            while not signalled:
                try:
                    status = client.post(json.dumps(TICKET))[0]
                except OSError:
                    status = 0
                if status or not signalled or client.sent < signalled[0]:
                    outcome[status == 201] += bool(signalled) or status != 201
                if number % 2:
                    client.connection.close()

        with ThreadPoolExecutor(CLIENTS) as threads:
            running = [threads.submit(load, number) for number in range(CLIENTS)]
            time.sleep(random.uniform(0.2, 0.5))
            signalled.append(time.monotonic())
            status, seconds = terminate(service)
            for future in running:
                future.result()
    return status, seconds, outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bars", default="R1,R4,R5,R13,R15,R16")
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--attack-seconds", type=float, default=10)
    parser.add_argument("--stops", type=int, default=100)
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
    if "R15" in bars:
        results.append(run_attacks(options.attack_seconds))
    if "R16" in bars:
        results.append(run_stops(options.stops))
    if "R1" in bars:
        results.append(run_bodies("PostgreSQL", options.bodies))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

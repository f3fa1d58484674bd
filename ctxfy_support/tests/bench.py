"""What requests cost beside small programs that do no more than they must (yardsticks/).

`python -m ctxfy_support.tests.bench [--requests N] [--rounds N]`: everything runs on one PostgreSQL
that it starts, in turns; medians of all rounds. First the processor time of the server and of
PostgreSQL for each request, with 16 clients; then requests a second and how long they took with 1,
16 and 64. Milliseconds are this machine's; the ratios to the bare Django view are what the bars are
about, and the exit status is 1 where one is missed.
"""

import argparse
import contextlib
import hashlib
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import requests

from ctxfy_support.tests.chaos import PATH, prepare
from ctxfy_support.tests.hostile import TICKET
from ctxfy_support.tests.loopback import HOST, free_port
from ctxfy_support.tests.postgres import PostgresServer, find_binaries
from ctxfy_support.tests.processes import START_SECONDS, Process, ServiceProcess, run_command

YARDSTICKS = "ctxfy_support.tests.yardsticks"
TABLES = Path(__file__).parent / "yardsticks" / "tables.sql"
BODY = json.dumps(TICKET | {"message": "Charged twice in October. " * 8})
OURS, BARE, DRF, FASTAPI = "ours", "bare Django view", "plain DRF", "FastAPI, psycopg"
PGBENCH = "pgbench, ours"
# Our two statements as pgbench takes them, with literals for their parameters.
STATEMENTS = """
import re
from accounts.admission import _admit
from accounts.models import APIKey
from support.ticket_insert import _GIVEN, _insert
key = APIKey.objects.order_by("created_at")[0]
values = dict.fromkeys(_GIVEN, "''") | {
    "digest": f"'{key.digest}'", "now": "now()", "id": "gen_random_uuid()",
    "user_id": str(key.user_id), "type": "'billing'", "reply_address": "'ada@example.com'",
    "message": "repeat('Charged twice in October. ', 8)", "subscription_plan": "'chaos'",
    "token_balance": "0", "idempotency_key": "NULL", "email_status": "'stored'",
    "created_at": "now()", "updated_at": "now()", "lease_token": "NULL",
    "request_ids": "'[]'", "context": "'{}'", "leaked_keys": "'[]'",
}
for sql in (_admit("postgresql"), _insert("postgresql", False, None)):
    filled = re.sub(r"%\\((\\w+)\\)s", lambda name: values[name[1]], sql)
    print(filled.strip().replace("%%", "%"), ";")
"""
PROCESSES, CLIENTS = 2, 16
CONCURRENCIES = (1, 16, 64)
READERS_TICKETS = 100
# Row, stack, against whom, at most this ratio of its server's processor time.
BARS = (("POST", 0.70), ("list", 0.80), ("detail", 0.80))


class Yardstick(Process):
    """One of the small programs, in as many processes as the service, a thread each."""

    def __init__(self, server, *arguments, url):
        self.port = free_port()
        super().__init__(
            *("-m", server, *arguments, "--host", HOST, "--port", str(self.port)),
            *("--workers", str(PROCESSES), "--log-level", "error"),
            env={"DATABASE_URL": url},
        )

    def start(self):
        super().start()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.status is not None or time.monotonic() > deadline:
                raise RuntimeError(f"It does not start:\n{self.output}")
            time.sleep(0.05)

    def _answers(self):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://{HOST}:{self.port}/", timeout=1).status_code


def start_stacks(stack, url):
    """Every server, by name."""
    wsgi = ("--interface", "wsgi", "--blocking-threads", "1", "--backpressure", "64")
    stacks = {
        OURS: ServiceProcess(env={"DATABASE_URL": url}, processes=PROCESSES),
        BARE: Yardstick("granian", f"{YARDSTICKS}.bare_django:application", *wsgi, url=url),
        DRF: Yardstick("granian", f"{YARDSTICKS}.plain_drf:application", *wsgi, url=url),
        FASTAPI: Yardstick("uvicorn", f"{YARDSTICKS}.fast_api:app", "--http=httptools", url=url),
    }
    return {name: stack.enter_context(process) for name, process in stacks.items()}


def processor_seconds(process):
    """Of a process, its children, and those that have ended."""
    processes = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:4]) for each in processes)


def load(port, method, path, key, *, clients, count):
    """What load.py says of so many requests."""
    arguments = [str(port), method, path, key, "--clients", str(clients), "--requests", str(count)]
    if method == "POST":
        arguments += ["--body", BODY]
    done = subprocess.run(
        [sys.executable, "-m", "ctxfy_support.tests.load", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said["statuses"]) <= {"200", "201"}, said
    return said


class Bench:
    """One PostgreSQL, every server on it, and what they cost."""

    def __init__(self, server, stacks, key, count):
        self.postgres = psutil.Process(server._process.pid)
        self.stacks, self.key, self.count = stacks, key, count
        self.costs = defaultdict(list)  # (row, stack) -> pairs of milliseconds
        self.rates = defaultdict(list)  # (clients, stack) -> (per second, p50, p99)

    def measure(self, row, name, method, path, key=None):
        process = psutil.Process(self.stacks[name].pid)
        before = processor_seconds(process), processor_seconds(self.postgres)
        key = key or self.key
        load(self.stacks[name].port, method, path, key, clients=CLIENTS, count=self.count)
        after = processor_seconds(process), processor_seconds(self.postgres)
        self.costs[row, name].append(
            [(b - a) / self.count * 1000 for a, b in zip(before, after, strict=True)]
        )

    def measure_rate(self, name, clients):
        count = self.count if clients > 1 else self.count // 4
        port = self.stacks[name].port
        said = load(port, "POST", PATH, self.key, clients=clients, count=count)
        self.rates[clients, name].append((count / said["seconds"], said["p50"], said["p99"]))

    def median(self, row, name):
        return [statistics.median(column) for column in zip(*self.costs[row, name], strict=True)]


def find_ticket(port, key, **headers):
    """The newest ticket's address; yardsticks answer with the same shape."""
    answer = requests.get(
        f"http://{HOST}:{port}{PATH}", headers={"Authorization": f"Bearer {key}"}, timeout=10
    )
    return f"{PATH}/{answer.json()['tickets'][0]['id']}"


def measure_statements(bench, program, script, url):
    """PostgreSQL alone, with our two statements."""
    before = processor_seconds(bench.postgres)
    done = subprocess.run(
        [
            *(program, "-n", "-f", script, "-M", "prepared", "-c", str(CLIENTS)),
            *("-j", str(PROCESSES), "-t", str(bench.count // CLIENTS), url),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    spent = processor_seconds(bench.postgres) - before
    bench.costs["POST", PGBENCH].append([math.nan, spent / bench.count * 1000])
    rate = float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])
    bench.rates[CLIENTS, PGBENCH].append((rate, math.nan, math.nan))


def measure_all(bench, rounds, reader, statements):
    for name in bench.stacks:
        load(bench.stacks[name].port, "POST", PATH, bench.key, clients=8, count=400)
    # Ours counts the account's tickets, so it is asked for one who has a hundred, as theirs shows.
    keys = {OURS: reader, BARE: bench.key}
    load(bench.stacks[OURS].port, "POST", PATH, reader, clients=1, count=READERS_TICKETS)
    tickets = {name: find_ticket(bench.stacks[name].port, key) for name, key in keys.items()}
    for _ in range(rounds):
        for name in bench.stacks:
            bench.measure("POST", name, "POST", PATH)
        statements()
        for name in tickets:
            bench.measure("list", name, "GET", PATH, keys[name])
            bench.measure("detail", name, "GET", tickets[name], keys[name])
        for clients in CONCURRENCIES:
            for name in bench.stacks:
                bench.measure_rate(name, clients)


def show(bench):
    """Print the tables and the bars; return whether all hold."""
    print(f"{'request':8} {'stack':18} {'server ms':>9} {'PostgreSQL ms':>13} {'ratio':>6}")
    for row, name in bench.costs:
        ours, theirs = bench.median(row, name), bench.median(row, BARE)
        ratio = ours[0] / theirs[0]
        print(f"{row:8} {name:18} {ours[0]:9.2f} {ours[1]:13.2f} {ratio:6.2f}")
    print(f"\n{'clients':8} {'stack':18} {'a second':>9} {'p50 ms':>8} {'p99 ms':>8}")
    for (clients, name), rows in bench.rates.items():
        rate, p50, p99 = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{clients:<8} {name:18} {rate:9.0f} {p50:8.2f} {p99:8.2f}")
    print()
    held = True
    for row, bar in BARS:
        ratio = bench.median(row, OURS)[0] / bench.median(row, BARE)[0]
        held &= ratio <= bar
        verdict = "holds" if ratio <= bar else "MISSED"
        print(f"{row}: {ratio:.2f} of the bare view's processor time, at most {bar}: {verdict}")
    ratio = bench.median("POST", OURS)[1] / bench.median("POST", BARE)[1]
    held &= ratio <= 1
    verdict = "holds" if ratio <= 1 else "MISSED"
    print(f"POST: {ratio:.2f} of the bare view's share of PostgreSQL, at most 1: {verdict}")
    return held


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with PostgresServer() as server, ExitStack() as stack:
        key = prepare(server.url)
        digest = hashlib.sha256(key.encode()).hexdigest()
        with psycopg.connect(server.url) as connection:
            connection.execute(TABLES.read_text().replace("{digest}", digest))
        env = {"DATABASE_URL": server.url}
        said = run_command("shell", "-v", "0", "-c", STATEMENTS, env=env)
        assert said.returncode == 0, said.stderr
        script = server.directory / "statements.sql"
        script.write_text(said.stdout)
        program = find_binaries() / "pgbench"
        bench = Bench(server, start_stacks(stack, server.url), key, options.requests)

        def statements():
            if program.exists():  # The wheel with PostgreSQL's binaries has none.
                measure_statements(bench, program, script, server.url)

        run_command("set_account", "grace", "--plan", "chaos", env=env)
        reader = run_command("create_api_key", "grace", env=env).stdout.strip()
        measure_all(bench, options.rounds, reader, statements)
        return not show(bench)


if __name__ == "__main__":
    sys.exit(main())

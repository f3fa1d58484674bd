"""How fast mail drains, and what inline mail costs who only reads: mails/s, ms, ratios of one run.

`python -m support.tests.delivery.bench [--mails N] [--rounds N] [--against TREE]`: one and two
workers beside a bare smtplib loop and a bare requests loop against the same servers on loopback,
on a PostgreSQL of its own, in turns, the medians of all rounds. `--against` measures the worker of
another checkout in the same turns. `--memory N`: what a worker's memory does over so many mails.
"""

import argparse
import http.client
import json
import os
import random
import smtplib
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django
import psutil
import requests

from ctxfy_support.tests.chaos import PATH, prepare
from ctxfy_support.tests.hostile import TICKET
from ctxfy_support.tests.loopback import HOST
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import (
    PROJECT_DIRECTORY,
    CommandProcess,
    ServiceProcess,
    make_environment,
)

SLOW_SECONDS = 4.0
READ_SECONDS = 20.0
BAR_PER_SECOND = 800
BAR_RATIO = 6.0
BAR_P99 = 2.0


@contextmanager
def sink(kind, seconds=0.0):
    """The environment that leads to a server of its own process."""
    command = [sys.executable, "-m", "support.tests.delivery.sink", kind, str(seconds)]
    process = subprocess.Popen(command, cwd=PROJECT_DIRECTORY, stdout=subprocess.PIPE, text=True)
    try:
        port = process.stdout.readline().strip()
        env = {"SUPPORT_EMAIL": "support@ctxfy.example", "SUPPORT_EMAIL_FROM": "a@ctxfy.example"}
        if kind == "smtp":
            yield env | {
                "SUPPORT_EMAIL_SENDER": "google",
                "GOOGLE_SMTP_HOST": HOST,
                "GOOGLE_SMTP_PORT": port,
                "GOOGLE_SMTP_SECURITY": "none",
                "GOOGLE_SMTP_USER": "a@ctxfy.example",
                "GOOGLE_SMTP_PASSWORD": "made-up",
            }
        else:
            yield env | {
                "SUPPORT_EMAIL_SENDER": "sendgrid",
                "SENDGRID_API_KEY": "SG.made-up",
                "SENDGRID_API_URL": f"http://{HOST}:{port}/v3/",
            }
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


# --- Draining ------------------------------------------------------------------------------------


def make_mails(count):
    from accounts.models import User
    from support.models import Ticket
    from support.tests.factories import TicketFactory

    user = User.objects.get(username="ada")
    Ticket.objects.all().delete()
    rows = TicketFactory.build_batch(count, user=user, message="Charged twice in October. " * 20)
    Ticket.objects.bulk_create(rows)


def count_unsent():
    from support.models import Ticket

    return Ticket.objects.exclude(email_status="sent").count()


def analyze():
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE support_tickets")


class Watching(CommandProcess):
    def __init__(self, env, tree):
        super().__init__("resend_failed_emails", "--watch", env=env)
        self.command[1] = str(Path(tree) / "manage.py")
        self.env["PYTHONPATH"] = str(tree)

    @property
    def processor_seconds(self):
        return sum(psutil.Process(self.pid).cpu_times()[:2])


def drain(env, *, mails, workers=1, tree=PROJECT_DIRECTORY):
    """(mails a second, milliseconds of the workers' processor time a mail)"""
    from support.models import Ticket

    Ticket.objects.all().delete()
    with ExitStack() as stack:
        running = [stack.enter_context(Watching(env, tree)) for _ in range(workers)]
        for worker in running:
            worker.wait_for_output("Watching for mail that is due", 60)
        make_mails(10 * workers)
        wait_for_none()
        before = sum(worker.processor_seconds for worker in running)
        make_mails(mails)
        started = time.perf_counter()
        wait_for_none()
        seconds = time.perf_counter() - started
        spent = sum(worker.processor_seconds for worker in running) - before
        accepted = sum(worker.output.count("was accepted") for worker in running)
    assert accepted == mails + 10 * workers, accepted
    return mails / seconds, spent / mails * 1000


def wait_for_none():
    deadline = time.monotonic() + 300
    while count_unsent():
        assert time.monotonic() < deadline
        time.sleep(0.01)


BODY = "Charged twice in October. " * 20
MAIL = f"From: a@ctxfy.example\r\nTo: support@ctxfy.example\r\nSubject: x\r\n\r\n{BODY}{BODY}\r\n"


def loop_smtplib(env, mails):
    with smtplib.SMTP(HOST, int(env["GOOGLE_SMTP_PORT"])) as connection:
        connection.ehlo()
        started, before = time.perf_counter(), time.process_time()
        for _ in range(mails):
            connection.sendmail("a@ctxfy.example", ["support@ctxfy.example"], MAIL)
        return per_mail(mails, started, before)


def loop_requests(env, mails):
    payload = {
        "personalizations": [{"to": [{"email": "support@ctxfy.example"}]}],
        "from": {"email": "a@ctxfy.example"},
        "subject": "x",
        "content": [{"type": "text/plain", "value": BODY}, {"type": "text/html", "value": BODY}],
    }
    headers = {"Authorization": f"Bearer {env['SENDGRID_API_KEY']}"}
    with requests.Session() as session:
        session.trust_env = False
        started, before = time.perf_counter(), time.process_time()
        for _ in range(mails):
            url = f"{env['SENDGRID_API_URL']}mail/send"
            assert session.post(url, json=payload, headers=headers, timeout=5).status_code == 202
        return per_mail(mails, started, before)


def per_mail(mails, started, before):
    spent = time.process_time() - before
    return mails / (time.perf_counter() - started), spent / mails * 1000


def median_of(figures):
    return [statistics.median(each) for each in zip(*figures, strict=True)]


def measure_draining(url, options):
    """Print a table for each transport; return whether one worker is fast enough."""
    held = True
    for kind, loop in (("smtp", loop_smtplib), ("http", loop_requests)):
        with sink(kind) as mail_env:
            env = {"DATABASE_URL": url} | mail_env
            runs = {
                f"bare {loop.__name__[5:]} loop": lambda: loop(mail_env, options.mails),  # noqa: B023
                "1 worker": lambda: drain(env, mails=options.mails),  # noqa: B023
                "2 workers": lambda: drain(env, mails=options.mails, workers=2),  # noqa: B023
            }
            if options.against:
                runs["1 worker, the other"] = lambda: drain(
                    env,  # noqa: B023
                    mails=options.mails,
                    tree=options.against,
                )
            rows = {name: [] for name in runs}
            for _ in range(options.rounds):
                for name, run in runs.items():
                    rows[name].append(run())
        rows = {name: median_of(figures) for name, figures in rows.items()}
        for name, (rate, cost) in rows.items():
            print(f"{kind:5} {name:24} {rate:8.0f} mails/s {cost:7.2f} ms", flush=True)
        rate = rows["1 worker"][0]
        enough = rate >= BAR_PER_SECOND
        text = f"{rate:.0f} mails/s (bar: {BAR_PER_SECOND}"
        if options.against:
            ratio = rate / rows["1 worker, the other"][0]
            enough |= ratio >= BAR_RATIO
            text += f", or {BAR_RATIO:.0f} times the other: {ratio:.1f}"
        print(f"{kind:5} {text}){'' if enough else '  MISSED'}", flush=True)
        held &= enough
    return held


# --- Inline --------------------------------------------------------------------------------------


def percentile(seconds, share):
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000


class Caller(threading.Thread):
    """One client with a connection that it keeps, until `stop`; `times` of its answers, seconds."""

    def __init__(self, service, key, method, stop, pause=0.0):
        super().__init__(daemon=True)
        self.service, self.method, self.stop, self.pause = service, method, stop, pause
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.times, self.statuses = [], []
        self.start()

    def run(self):
        connection = http.client.HTTPConnection(HOST, self.service.port, timeout=60)
        body = json.dumps(TICKET) if self.method == "POST" else None
        while not self.stop.is_set():
            started = time.perf_counter()
            connection.request(self.method, PATH, body, self.headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
            self.times.append(time.perf_counter() - started)
            self.statuses.append(content.get("status"))
            time.sleep(self.pause * random.uniform(0.5, 1.5))
        connection.close()


def call(service, key, *, writers, seconds):
    stop = threading.Event()
    writing = [Caller(service, key, "POST", stop) for _ in range(writers)]
    time.sleep(1)
    reader = Caller(service, key, "GET", stop, pause=0.005)
    time.sleep(seconds)
    stop.set()
    for caller in [reader, *writing]:
        caller.join()
    statuses = [status for caller in writing for status in caller.statuses]
    return reader.times, statuses


def measure_reading(url, key, options):
    """What a reader waits while others post and each mail takes four seconds."""
    with (
        sink("smtp", SLOW_SECONDS) as mail_env,
        ServiceProcess(
            env={"DATABASE_URL": url} | mail_env, processes=options.processes
        ) as service,
    ):
        call(service, key, writers=0, seconds=2)
        idle, _ = call(service, key, writers=0, seconds=READ_SECONDS / 2)
        busy, statuses = call(service, key, writers=options.writers, seconds=READ_SECONDS)
        after, _ = call(service, key, writers=0, seconds=READ_SECONDS / 2)
    idle += after
    told = ", ".join(f"{statuses.count(each)} {each}" for each in sorted(set(statuses)))
    ratio = percentile(busy, 0.99) / percentile(idle, 0.99)
    held = ratio <= BAR_P99
    for name, times in (("idle", idle), (f"{options.writers} posting", busy)):
        print(
            f"read  {name:24} p50 {percentile(times, 0.5):8.1f} ms  "
            f"p99 {percentile(times, 0.99):8.1f} ms  of {len(times)}"
        )
    print(
        f"read  p99 {ratio:.1f} times the idle one (bar: {BAR_P99:.0f}); the tickets: {told}"
        f"{'' if held else '  MISSED'}",
        flush=True,
    )
    return held


# --- Memory --------------------------------------------------------------------------------------


def measure_memory(url, mails):
    """A worker's resident memory, MB, after each tenth of so many mails."""
    with (
        sink("smtp") as mail_env,
        Watching({"DATABASE_URL": url} | mail_env, PROJECT_DIRECTORY) as worker,
    ):
        worker.wait_for_output("Watching for mail that is due", 60)
        sizes = []
        for _ in range(10):
            make_mails(mails // 10)
            wait_for_none()
            sizes.append(psutil.Process(worker.pid).memory_info().rss / 2**20)
    print(f"memory of a worker over {mails} mails: {', '.join(f'{size:.1f}' for size in sizes)} MB")


def main(arguments):
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--mails", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--only", choices=["draining", "reading"])
    parser.add_argument("--writers", type=int, default=8, help="clients that post meanwhile")
    parser.add_argument("--processes", type=int, default=2, help="of the service that is read")
    parser.add_argument("--memory", type=int, metavar="MAILS")
    options = parser.parse_args(arguments)
    held = True
    with PostgresServer() as server:
        key = prepare(server.url)
        os.environ.update(make_environment({"DATABASE_URL": server.url}))
        os.environ["DJANGO_SETTINGS_MODULE"] = "ctxfy_support.settings"
        django.setup()
        if options.only != "reading":
            held &= measure_draining(server.url, options)
        if options.only != "draining":
            held &= measure_reading(server.url, key, options)
        if options.memory:
            measure_memory(server.url, options.memory)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

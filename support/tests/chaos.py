"""The bars that take minutes: kill -9, stopped senders, shared work and 10,000 strange mails.

`make chaos`, or `python -m support.tests.chaos [--bars R2,R3] [--kills N --tickets N] …`, prints a
line for each bar with its figures and exits 1 where one is missed. The runs take their sizes as
arguments: test_kills.py and test_watch.py make them, small, in the test database.
"""

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import django
import requests

from ctxfy_support.tests.loopback import Meanwhile
from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import CommandProcess, ServiceProcess, make_environment
from ctxfy_support.tests.scripted_smtp_server import ScriptedSMTPServer
from ctxfy_support.tests.sendgrid_server import SendGridServer
from ctxfy_support.tests.smtp_server import SMTPServer

DEADLINE_SECONDS = 2
MAIL_WITHIN_SECONDS = 60
RUN_SECONDS = 600
CLIENT_THREADS = 6
TICKETS_A_MESSAGE = 4
DATABASES = ("SQLite", "PostgreSQL")
DEADLINES = "support/tests/delivery/test_deadline.py"
TRANSPORTS = {"SMTP": SMTPServer, "SendGrid": SendGridServer}
PLACES = {
    "R2": DATABASES,
    "R3": DATABASES,
    "R10": DATABASES,
    "R7": ("SQLite",),
    "R17": ("PostgreSQL",),  # SQLite's writers take turns.
    "R8": tuple(TRANSPORTS),
}


# --- What happens to senders ---------------------------------------------------------------------


def linger(seconds):
    """Take the mail, and answer up to so many seconds later."""
    return Meanwhile(lambda: time.sleep(random.uniform(0, seconds)))


def gather(count):
    """Let nobody have an answer until so many have come."""
    return Meanwhile(partial(threading.Barrier(count).wait, 60), times=count)


class Worker(CommandProcess):
    def __init__(self, *, env):
        super().__init__("resend_failed_emails", "--watch", env=env)

    def start(self):
        """Return once it watches."""
        watching = "Watching for mail that is due"
        before = self.output.count(watching)
        super().start()
        assert wait_until(lambda: self.output.count(watching) > before, 60), self.output


class Fleet:
    """Services, of which every second one leaves its mail to the workers, and the workers."""

    def __init__(self, env, *, services, workers):
        env = env | {"SUPPORT_EMAIL_DEADLINE": str(DEADLINE_SECONDS)}
        deliveries = itertools.cycle(["inline", "background"])
        self.services = [
            ServiceProcess(env=env | {"SUPPORT_EMAIL_DELIVERY": next(deliveries)})
            for _ in range(services)
        ]
        self.workers = [Worker(env=env) for _ in range(workers)]
        self.processes = [*self.services, *self.workers]

    def __enter__(self):
        self._stack = ExitStack()
        self._starters = self._stack.enter_context(ThreadPoolExecutor(8))
        self._starting = {}
        try:
            list(self._starters.map(self._stack.enter_context, self.processes))
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *exc_info):
        self._stack.__exit__(*exc_info)

    def kill_one(self):
        """Kill one that is up, whatever it is doing, and start it again in the background."""
        process = random.choice(self._wait_for_some_that_are_up())
        process.kill()
        self._starting[process] = self._starters.submit(process.start)

    def wait_until_up(self):
        for start in self._starting.values():
            start.result(120)

    def _wait_for_some_that_are_up(self):
        while True:
            starting = {process for process, start in self._starting.items() if not start.done()}
            if up := [process for process in self.processes if process not in starting]:
                return up
            time.sleep(0.05)


class Clients:
    """Threads that post so many tickets, and a message to some, each until it is answered 201."""

    def __init__(self, services, *, tickets, threads=CLIENT_THREADS):
        self.told = {}
        self.answers = Counter()
        self._urls = [f"{service.url}/v1/support/tickets" for service in services]
        self._secret = make_secret()
        self._is_over = False
        self._numbers = iter(range(tickets))
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads)
        self._runs = [self._pool.submit(self._post_all) for _ in range(threads)]

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._numbers = iter(())
        self._is_over = True
        self._pool.shutdown()

    def wait_for(self, count):
        """Return once so many tickets were acknowledged, or nobody is posting any more."""
        wait_until(lambda: len(self.told) >= count or all(run.done() for run in self._runs), 300)

    def finish(self):
        for run in self._runs:
            run.result()

    def _post_all(self):
        while (number := self._take_number()) is not None:
            ticket = {"type": "chaos", "reply_address": "ada@example.com", "message": str(number)}
            ticket_id = self._post_until_told("", ticket, f"ticket-{number}")
            if ticket_id and number % TICKETS_A_MESSAGE == 0:
                message = {"message": f"again {number}"}
                self._post_until_told(f"/{ticket_id}/messages", message, f"message-{number}")

    def _take_number(self):
        with self._lock:
            return next(self._numbers, None)

    def _post_until_told(self, path, body, key):
        """The id that was told; None where it is over before."""
        while key not in self.told and not self._is_over:
            if not self._post(path, body, key):
                time.sleep(0.05)
        return self.told.get(key)

    def _post(self, path, body, key):
        headers = {"Authorization": f"Bearer {self._secret}", "Idempotency-Key": key}
        url = random.choice(self._urls) + path
        try:
            response = requests.post(url, json=body, headers=headers, timeout=120)
        except requests.RequestException:
            return False
        self.answers[response.status_code] += 1
        if response.status_code == 201:
            self.told[key] = response.json()["id"]
        return response.status_code == 201


def make_secret():
    """An API key of an account whose plan lets everything through."""
    from accounts.tests.factories import APIKeyFactory, PlanFactory

    plan = PlanFactory(slug="chaos", requests_per_minute=1_000_000)
    return APIKeyFactory(user__plan=plan).secret


def make_due(count):
    from accounts.tests.factories import UserFactory
    from support.tests.factories import TicketFactory

    return TicketFactory.create_batch(count, user=UserFactory())


def wait_until(condition, seconds):
    """Return whether it came about within so many seconds."""
    end = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return bool(done)


# --- What became of their mail -------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    lost: int
    never_mailed: int
    extra_copies: int
    # Dates that the copies of one mail have, at most.
    dates_per_mail: int

    @property
    def is_complete(self):
        return (self.lost, self.never_mailed, self.dates_per_mail) == (0, 0, 1)

    def __str__(self):
        return (
            f"{self.lost} lost, {self.never_mailed} never mailed, "
            f"{self.extra_copies} extra copies, {self.dates_per_mail} Date a mail"
        )


def find_outcome(server, told=()):
    """Compare what clients were told of, the tables, and every mail that the server took."""
    rows = {str(row.pk) for table in all_tables() for row in table.only("pk")}
    mails = list(server.messages)
    dates = {}
    for mail in mails:
        row = mail.header("Message-ID").strip("<>").partition("@")[0]
        dates.setdefault(row, set()).add(mail.header("Date"))
    return Outcome(
        lost=len(set(told) - rows),
        never_mailed=len(rows - set(dates)),
        extra_copies=len(mails) - len(dates),
        dates_per_mail=max(map(len, dates.values()), default=0),
    )


def all_tables():
    from support.models import outboxes

    return [rows.order_by("pk") for rows in outboxes()]


def look_at_all():
    return [row for table in all_tables() for row in table.values()]


def all_sent():
    return not any(rows.exclude(email_status="sent").exists() for rows in all_tables())


def wait_for_leases(since):
    """Let the living take over what the dead held, in the time that the bar R2 gives them."""
    wait_until(all_sent, since + MAIL_WITHIN_SECONDS - time.monotonic())


def end_leases(since):
    """The same at once: what is leased once nothing moves any more, the dead held."""

    def is_quiet():
        before = look()
        time.sleep(0.5)
        free = [status != "sent" and token is None for _, token, status in before]
        return not any(free) and before == look()

    def look():
        columns = ("pk", "lease_token", "email_status")
        return [row for table in all_tables() for row in table.values_list(*columns)]

    from django.utils import timezone

    assert wait_until(is_quiet, 30)
    past = timezone.now() - timedelta(seconds=1)
    for rows in all_tables():
        rows.exclude(leased_until=None).update(leased_until=past)
    wait_until(all_sent, 30)


# --- The runs ------------------------------------------------------------------------------------


def run_kills(env, server, *, tickets, kills, services=2, workers=3, settle=wait_for_leases):
    """Kill at random moments while clients post.

    Return the outcome, the answers by status, and the seconds from the last kill to the last mail.
    """
    moments = sorted(random.choices(range(tickets), k=kills))
    server.faults["."] = linger(0.05)
    with (
        Fleet(env, services=services, workers=workers) as fleet,
        Clients(fleet.services, tickets=tickets) as clients,
    ):
        for count, moment in enumerate(moments, 1):
            clients.wait_for(moment)
            time.sleep(random.uniform(0, 0.1))
            fleet.kill_one()
            report_progress(f"{count} of {kills} kills, {len(clients.told)} tickets", count % 20)
        killed_at = time.monotonic()
        clients.finish()
        fleet.wait_until_up()
        settle(killed_at)
        seconds = time.monotonic() - killed_at
    return find_outcome(server, clients.told.values()), clients.answers, seconds


def run_stops(env, server, *, tickets, workers=3):
    """Stop every sender for twice its lease while a spare one goes on.

    Return the outcome, how many mails the stopped may have had on their way (a worker has one,
    however many rows it holds, and a request has one), and how many rows they marked afterwards.
    """
    from support.outbox import LEASE_MARGIN

    lease_seconds = DEADLINE_SECONDS + LEASE_MARGIN.total_seconds()
    server.faults["."] = linger(0.5)
    with (
        Fleet(env, services=1, workers=workers) as fleet,
        Clients(fleet.services, tickets=tickets) as clients,
    ):
        make_due(tickets)
        clients.wait_for(tickets // 4)
        time.sleep(random.uniform(0, 0.5))
        for process in fleet.processes:
            process.pause()
        stopped_at = time.monotonic()
        leased = sum(rows.filter(leased_until__isnull=False).count() for rows in all_tables())
        in_hand = min(leased, workers + CLIENT_THREADS)
        report_progress(f"stopped for {2 * lease_seconds:.0f} s with {in_hand} mails in hand")
        with Fleet(env, services=0, workers=1):
            time.sleep(2 * lease_seconds - (time.monotonic() - stopped_at))
            before = {row["id"]: row for row in look_at_all() if row["email_status"] == "sent"}
            for process in fleet.processes:
                process.resume()
            clients.finish()
            wait_for_leases(time.monotonic())
            late = sum(row != before.get(row["id"], row) for row in look_at_all())
    return find_outcome(server, clients.told.values()), in_hand, late


def run_together(env, server, *, rows, workers=3, by_hand=2):
    """Let workers and runs by hand at the same rows at once; return the outcome."""
    make_due(rows)
    count = workers + by_hand
    server.faults["connect"] = gather(count)
    # Whoever comes first holds its mail until the last has come.
    env = env | {"SUPPORT_EMAIL_DEADLINE": "60"}
    with ExitStack() as stack:
        runs = [
            stack.enter_context(CommandProcess("resend_failed_emails", *arguments, env=env))
            for arguments in [["--watch"]] * workers + [[]] * by_hand
        ]
        server.wait_for(rows, seconds=120)
        assert [run.wait(60) for run in runs[workers:]] == [0] * by_hand
        wait_until(all_sent, 10)
    assert len({mail.connection for mail in server.messages}) == count
    return find_outcome(server)


def run_fuzz(server, *, mails):
    """Send the mails of so many generated tickets; the first wrong one raises AssertionError."""
    from hypothesis import given, settings

    from support.tests.delivery import test_fuzzed_mail

    check = partial(test_fuzzed_mail.check_mail, server)
    examples = settings(max_examples=mails, deadline=None, database=None)
    examples(given(test_fuzzed_mail.tickets())(lambda fields: check(fields)))()
    return len(server.messages)


# --- The command ---------------------------------------------------------------------------------


def check_r2(env, server, options):
    outcome, answers, seconds = run_kills(env, server, tickets=options.tickets, kills=options.kills)
    seen = ", ".join(f"{count} times {status}" for status, count in sorted(answers.items()))
    print(
        f"{options.tickets} tickets, {options.kills} kills: {outcome} (bar: {options.kills}); "
        f"answers: {seen}; last mail {seconds:.0f} s after the last kill (bar: 60)"
    )
    return outcome.is_complete and outcome.extra_copies <= options.kills and all_sent()


def check_r3(env, server, options):
    outcome, in_hand, late = run_stops(env, server, tickets=options.stopped_tickets)
    print(
        f"all senders stopped for twice their lease with {in_hand} mails in hand: {outcome} "
        f"(bar: {in_hand}), {late} rows marked late"
    )
    return outcome.is_complete and outcome.extra_copies <= in_hand and not late and all_sent()


def check_r10(env, server, options):
    outcome = run_together(env, server, rows=options.rows)
    print(f"{options.rows} due rows, 3 workers, 2 runs by hand: {outcome} (bar: 0)")
    return outcome.is_complete and not outcome.extra_copies and all_sent()


def check_r8(env, server, options):
    sent = run_fuzz(server, mails=options.mails)
    print(f"{options.mails} generated tickets, {sent} mails: 0 other recipients, 0 other headers")
    return sent > options.mails / 2


def check_r17(env, server, options):
    from support.tests.contention import run_contention

    result = run_contention(server, rounds=options.rounds)
    print(f"{result} (bar: 0)")
    for error in sorted(set(result.errors))[:10]:
        report_progress(error)
    return result.is_calm


CHECKS = {"R2": check_r2, "R3": check_r3, "R10": check_r10, "R17": check_r17, "R8": check_r8}


def report_progress(text, skip=0):
    if not skip:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def run_here(bar, place, options):
    """Check one bar in this process, whose environment names the database; return whether held."""
    random.seed(options.seed)
    with ExitStack() as stack:
        if bar == "R8":
            server = stack.enter_context(TRANSPORTS[place]())
        else:
            server = stack.enter_context(ScriptedSMTPServer(security="none"))
        os.environ.update(make_environment(server.env))
        os.environ["DJANGO_SETTINGS_MODULE"] = "ctxfy_support.settings"
        django.setup()
        if bar != "R8":
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
        env = server.env | {"DATABASE_URL": os.environ["DATABASE_URL"]}
        print(f"{bar} {place}: ", end="", flush=True)
        return CHECKS[bar](env, server, options)


def run_apart(bar, place, arguments):
    """Check one bar in a process of its own, with a new database; return whether it held."""
    report_progress(f"{bar} {place}")
    with ExitStack() as stack:
        if place == "PostgreSQL":
            url = stack.enter_context(PostgresServer()).url
        else:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            url = f"sqlite:///{directory}/chaos.sqlite3"
        command = [sys.executable, "-m", "support.tests.chaos", *arguments, "--here", bar, place]
        env = os.environ | {"DATABASE_URL": url}
        if bar == "R7":
            # Every dawdling server of the suite, held to the bar instead of to what is safe there.
            print(f"{bar} attempts beyond their deadline by 0.25 s: ", end="", flush=True)
            command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-r", "f", DEADLINES]
            env |= {"ATTEMPT_GRACE_SECONDS": "0.25"}
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        try:
            line, _ = process.communicate(timeout=RUN_SECONDS)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    held = process.returncode == 0
    print(line.strip().rpartition("\n")[2] + ("" if held else "  MISSED"), flush=True)
    return held


def main(arguments):
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--bars", default=",".join(PLACES), help=f"of {', '.join(PLACES)}")
    parser.add_argument("--on", default=",".join(DATABASES), help=f"of {', '.join(DATABASES)}")
    parser.add_argument("--tickets", type=int, default=2_000, help="R2")
    parser.add_argument("--kills", type=int, default=200, help="R2")
    parser.add_argument("--stopped-tickets", type=int, default=100, help="R3")
    parser.add_argument("--rows", type=int, default=1_000, help="R10")
    parser.add_argument("--rounds", type=int, default=200, help="R17, acts of each agent")
    parser.add_argument("--mails", type=int, default=10_000, help="R8, for each transport")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.here:
        return 0 if run_here(*options.here, options) else 1
    arguments = [*arguments, "--seed", str(options.seed)]
    places = [*options.on.split(","), *TRANSPORTS]
    runs = [
        (bar, place) for bar in options.bars.split(",") for place in PLACES[bar] if place in places
    ]
    report_progress(f"seed {options.seed}")
    held = [run_apart(*run, arguments) for run in runs]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

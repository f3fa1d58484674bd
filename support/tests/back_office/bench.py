"""How cost grows: `python -m support.tests.back_office.bench` asks 10,000 and 5,000,000 tickets.

Fills two databases of one PostgreSQL server, asks both in turn for every kind of page, for the API
and for the resend command with 100,000 mails waiting, and prints the median processor time, of the
process and of the database together, the ratio and queries. Exit status 1 if one is over its bar.
BENCH_TICKETS=10000,1000000 takes other sizes; `... bench SMALL_URL LARGE_URL` asks two databases
that are filled already.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from functools import partial
from io import StringIO
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import psycopg

from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import (
    PROJECT_DIRECTORY,
    CommandProcess,
    make_environment,
    run_command,
)
from ctxfy_support.tests.smtp_server import SMTPServer
from support.tests.back_office.many_tickets import BUSY_ACCOUNT, WAIT, WAITING, fill

SIZES = [int(size) for size in os.environ.get("BENCH_TICKETS", "10000,5000000").split(",")]
MOST_SECONDS = 0.5
MOST_TIMES = 1.3
MOST_QUERIES = 25
# Two words of which a third of all tickets has either and none has both: the index has to compare
# its two longest lists. Held to the seconds alone.
WORST_CASES = {"search two common words", "search words never together"}
# The two databases are asked in turn, so what else the machine does comes to both.
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "11"))
RUNS = 3
API = {"API: POST": "post", "API: list": "list", "API: detail": "detail"}
RESENDS = {
    "resend --dry-run --limit 100": {"dry_run": True, "limit": 100},
    "resend --limit 1": {"limit": 1},
}
FIRST_MAIL = "resend, first mail of all"

PAGES = {
    "dashboard": None,
    **{
        f"tab {tab}": {"tab": tab}
        for tab in ("mine", "unassigned", "open", "waiting", "mail", "all")
    },
    "all, last page": {"tab": "all", "page": 200},
    "all, oldest first": {"tab": "all", "order": "oldest"},
    "state closed": {"tab": "all", "state": "closed"},
    "state unsolved, of a type": {"tab": "all", "state": "unsolved", "type": "technical"},
    "state new": {"tab": "all", "state": "new"},
    "priority urgent": {"tab": "all", "priority": 4},
    "priority low (none)": {"tab": "all", "priority": 1},
    "type billing": {"tab": "all", "type": "billing"},
    "type rare": {"tab": "all", "type": "partnership"},
    "plan enterprise": {"tab": "all", "plan": "enterprise"},
    "plan unknown": {"tab": "all", "plan": "nothing"},
    "mail failed": {"tab": "all", "email": "failed"},
    "mail pending": {"tab": "all", "email": "pending"},
    "mail stored": {"tab": "all", "email": "stored"},
    "mail sent": {"tab": "all", "email": "sent"},
    "assignee me": {"tab": "all", "assignee": "me"},
    "assignee nobody": {"tab": "all", "assignee": "nobody"},
    "age, older than a week": {"tab": "all", "age": "over-week"},
    "age, older than 3 days, open": {"tab": "open", "age": "over-3-days"},
    "tag common": {"tab": "all", "tag": "bug"},
    "tag rare": {"tab": "all", "tag": "rare"},
    "account": {"tab": "all", "account": "busy"},
    "five filters": {"tab": "all", "type": "technical", "plan": "pro", "state": "solved",
                     "priority": 3, "assignee": "me"},
    "search common word": {"tab": "all", "q": "invoice"},
    "search two common words": {"tab": "all", "q": "invoice hosts"},
    "search rare word": {"tab": "all", "q": "xylophone"},
    "search rare and common": {"tab": "all", "q": "xylophone hosts"},
    "search no such word": {"tab": "all", "q": "quetzalcoatl"},
    "search words never together": {"tab": "all", "q": "invoice late"},
    "search rare word, filtered": {"tab": "all", "q": "xylophone", "plan": "pro"},
    "search account": {"tab": "all", "q": BUSY_ACCOUNT},
    "search address": {"tab": "all", "q": "customer77@example.com"},
    "search in open": {"tab": "open", "q": "invoice"},
    "mail without a ticket": "mails",
    "ticket, oldest of all": "oldest",
    "ticket, in the middle": "middle",
    "ticket, in the open queue": "open",
    "ticket, from a rare word": "xylophone",
    "ticket, from a common word": "invoice",
}  # fmt: skip


def address(page):
    """The address of one of PAGES."""
    from django.urls import reverse

    from accounts.models import User
    from support.models import Ticket
    from support.triage import Tag

    if page is None:
        return reverse("admin:index")
    if page == "mails":
        return reverse("admin:support_ticket_mail")
    if isinstance(page, dict):
        known = {"busy": User.objects.get(username=BUSY_ACCOUNT).pk}
        known |= {tag.name: tag.pk for tag in Tag.objects.all()}
        query = {name: known.get(value, value) for name, value in page.items()}
        return f"{reverse('admin:support_ticket_changelist')}?{urlencode(query)}"
    tickets, queue, place = Ticket.objects.order_by("-created_at"), "tab=all", 0
    if page == "oldest":
        tickets = tickets.reverse()
    elif page == "middle":
        place = SIZES[0] // 2
    elif page == "open":
        tickets, queue, place = tickets.unsolved(), "tab=open", 30
    else:
        tickets, queue, place = tickets.filter(message__contains=page), f"tab=all&q={page}", 30
    url = reverse("admin:support_ticket_change", args=[tickets[place].pk])
    return f"{url}?{urlencode({'queue': queue})}"


def prepare_asks():
    """Return {name: function that asks once}."""
    from django.core.management import call_command
    from django.test import Client

    from accounts.models import APIKey, Plan, User
    from ctxfy_support.tests.hostile import TICKET

    plan = Plan.objects.get_or_create(slug="bench", defaults={"requests_per_minute": 10**9})[0]
    busy = User.objects.get(username=BUSY_ACCOUNT)
    User.objects.filter(pk=busy.pk).update(plan=plan)
    _, secret = APIKey.objects.issue(busy)
    agent, client = Client(SERVER_NAME="127.0.0.1"), Client(SERVER_NAME="127.0.0.1")
    agent.force_login(User.objects.get(username="agent1"))
    tickets = "/v1/support/tickets"
    headers = {"Authorization": f"Bearer {secret}"}
    oldest = busy.tickets.order_by("created_at").first().pk
    asks = {
        "API: POST": lambda: client.post(tickets, TICKET, "application/json", headers=headers),
        "API: list": lambda: client.get(tickets, headers=headers),
        "API: detail": lambda: client.get(f"{tickets}/{oldest}", headers=headers),
    }
    for name, page in PAGES.items():
        asks[name] = partial(agent.get, address(page))
    for name, options in RESENDS.items():
        asks[name] = partial(resend, call_command, options)
    return asks


def resend(call_command, options):
    with contextlib.suppress(SystemExit):
        call_command("resend_failed_emails", stdout=StringIO(), stderr=StringIO(), **options)


def answer():
    """Ask what standard input names, a line each; answer with [seconds, queries]."""
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    asks = prepare_asks()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        name, is_first = json.loads(line)
        queries = 0
        if is_first:
            asks[name]()  # What is remembered is remembered now.
            with CaptureQueriesContext(connection) as captured:
                given = asks[name]()
            queries = len(captured)
            assert given is None or given.status_code in {200, 201}, (name, given.status_code)
            if os.environ.get("BENCH_SLOWEST"):
                for query in captured.captured_queries:
                    if float(query["time"]) > 0.003:
                        print(name, query["time"], query["sql"][:3_000], file=sys.stderr)
        costs = [cost_of(asks[name], connection) for _ in range(RUNS)]
        print(json.dumps([min(costs), queries]), flush=True)


def cost_of(ask, connection):
    """Seconds of processor time, ours and the database's; waiting for a processor is none."""
    connection.ensure_connection()
    server = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    before = time.process_time() + int(server.read_text().split()[0]) / 1e9
    ask()
    return time.process_time() + int(server.read_text().split()[0]) / 1e9 - before


class Side:
    """One of the two databases, and the process that asks it."""

    def __init__(self, url, env):
        self.url, self.env = url, {"DATABASE_URL": url, "LOG_LEVEL": "CRITICAL", **env}
        # A POST without the mail server's time in it.
        self.env["SUPPORT_EMAIL_DELIVERY"] = "background"
        self.env["DJANGO_SETTINGS_MODULE"] = "ctxfy_support.settings"

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.tests.back_office.bench", "answer"],
            cwd=PROJECT_DIRECTORY,
            env=make_environment(self.env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"
        return self

    def __exit__(self, *exc_info):
        self._process.stdin.close()
        self._process.wait()

    def _read(self):
        return json.loads(self._process.stdout.readline())

    def ask(self, name, *, is_first):
        self._process.stdin.write(json.dumps([name, is_first]) + "\n")
        self._process.stdin.flush()
        return self._read()

    def execute(self, sql, *params):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql, params)

    def seconds_to_first_mail(self):
        """Of `resend_failed_emails` from its start, python's own included."""
        with SMTPServer() as smtp:
            started = time.perf_counter()
            with CommandProcess("resend_failed_emails", env=self.env | smtp.env):
                while not smtp.messages:
                    time.sleep(0.002)
                return time.perf_counter() - started


def compare(names, sides):
    """Return {name: (median seconds of each side, their ratio, queries)}."""
    results = {}
    for name in names:
        times, queries = ([], []), 0
        for number in range(ROUNDS):
            for side, seconds in zip(sides, times, strict=True):
                took, counted = side.ask(name, is_first=number == 0)
                seconds.append(took)
                queries = max(queries, counted)
        results[name] = report(name, [median(seconds) for seconds in times], queries)
    return results


def report(name, seconds, queries=0):
    """Print one line; return whether it is within every bar."""
    small, large = seconds
    # A run of the command takes as long as it has mails, and looks at each.
    is_page = not name.startswith("resend")
    within = not is_page or (large <= MOST_SECONDS and queries <= MOST_QUERIES)
    within = within and (large / small <= MOST_TIMES or name in WORST_CASES)
    print(
        f"{name:32} {small * 1000:7.1f} ms {large * 1000:7.1f} ms {large / small:6.2f} "
        f"{queries:7} {'' if within else '<- over the bar'}",
        flush=True,
    )
    return within


def measure(urls):
    only = os.environ.get("BENCH_ONLY", "")
    names = [name for name in (*API, *PAGES) if only in name]
    print(f"{'':32} {'small':>10} {'large':>10} {'ratio':>6} {'queries':>7}")
    with SMTPServer() as smtp, contextlib.ExitStack() as stack:
        sides = [stack.enter_context(Side(url, smtp.env)) for url in urls]
        within = list(compare(names, sides).values())
        for side in sides:
            side.execute(WAIT, WAITING)
            side.execute("VACUUM ANALYZE support_tickets")
        try:
            names = [name for name in (*RESENDS, "tab mail", "mail pending") if only in name]
            within += compare(names, sides).values()
            times = ([], [])
            for _ in range(3 if only in FIRST_MAIL else 0):
                for side, seconds in zip(sides, times, strict=True):
                    seconds.append(side.seconds_to_first_mail())
            if times[0]:
                within.append(report(FIRST_MAIL, [median(seconds) for seconds in times]))
        finally:
            for side in sides:
                side.execute("DELETE FROM support_tickets WHERE type = 'outage'")
    print(f"\nbars: {MOST_SECONDS} s, {MOST_TIMES:g} times, {MOST_QUERIES} queries")
    return all(within)


def main(urls):
    if urls:
        return 0 if measure(urls) else 1
    with PostgresServer(
        fsync="off",
        max_wal_size="4GB",
        shared_buffers="2GB",
        max_parallel_workers_per_gather="0",  # All of a statement's time in one process.
    ) as server:
        for size in SIZES:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE tickets_{size}")
            url = server.url.replace("/postgres?", f"/tickets_{size}?")
            urls.append(url)
            assert run_command("migrate", "-v", "0", env={"DATABASE_URL": url}).returncode == 0
            started = time.perf_counter()
            fill(url, size)
            print(f"{size:,} tickets in {time.perf_counter() - started:.0f} s", flush=True)
        return 0 if measure(urls) else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["answer"]:
        answer()
    else:
        sys.exit(main(sys.argv[1:]))

"""R17: agents' acts, senders, exports and waking at the same rows at once, in threads of a process.

PostgreSQL counts deadlocks itself; a 5xx, an exception and an export that is not whole are counted
here.
"""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from ctxfy_support.tests.loopback import Fault
from ctxfy_support.tests.scripted_smtp_server import Answer
from support.delivery import attempts
from support.delivery.breaker import breaker
from support.mail_channel import MailChannel, channel_name
from support.models import Message, Ticket
from support.tests.factories import TicketFactory, make_staff

ROWS = 30
AWAY = "transient connection: The mail server could not be reached"


@dataclass(frozen=True)
class Sometimes(Fault):
    """Refuse one in four for good, so that answers fail too."""

    accept: bool = field(default=True, kw_only=True)

    def strike(self, channel, answer):
        refused = Answer(550, "5.1.1 no such user").data
        channel.send(refused if random.random() < 0.25 else answer)


@dataclass
class Contention:
    """What happened; `done` counts what each kind of thread did."""

    done: Counter = field(default_factory=Counter)
    errors: list = field(default_factory=list)
    deadlocks: int = 0
    incomplete: int = 0

    def __str__(self):
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.done.items()))
        return (
            f"{done}: {self.deadlocks} deadlocks, {len(self.errors)} errors, "
            f"{self.incomplete} exports not whole"
        )

    @property
    def is_calm(self):
        return (self.deadlocks, self.errors, self.incomplete) == (0, [], 0)


def count_deadlocks():
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


class Agent:
    """One agent's browser, and what she does at random to some of the tickets."""

    def __init__(self, number, pks):
        self.client = Client(SERVER_NAME="127.0.0.1", raise_request_exception=False)
        self.client.force_login(make_staff("Agents", f"contender{number}"))
        self.pks = [str(pk) for pk in pks]

    def act(self):
        """Do one thing; return the answer's status."""
        chosen = random.sample(self.pks, random.randint(2, len(self.pks)))
        bulk = reverse("admin:support_ticket_bulk")
        match random.randrange(8):
            case 0 | 1:
                state = random.choice(["open", "solved", "waiting"])
                tags = {"add_tags": "bug, late", "remove_tags": "old"}
                data = {"do": "change", "tickets": chosen, "state": state, **tags}
                return self.client.post(bulk, data).status_code
            case 2 | 3:
                return self.client.post(bulk, {"do": "send", "tickets": chosen}).status_code
            case 4:
                return self.client.post(bulk, {"do": "claim", "tickets": chosen}).status_code
            case 5:
                return self.post(chosen[0], "note", text="x")
            case 6:
                return self.post(chosen[0], "reply", text="x", confirmed="1", seen=str(10**9))
        failed = Message.objects.exclude(email_status="sent").order_by("?").first()
        if failed is None:
            return 200
        return self.post(str(failed.ticket_id), "resend", reply=str(failed.pk))

    def post(self, pk, act, **data):
        return self.client.post(reverse(f"admin:support_ticket_{act}", args=[pk]), data).status_code

    def export(self):
        """Download everything; return (status, whether it is whole)."""
        answer = self.client.post(reverse("admin:support_ticket_export"), {"queue": "tab=all"})
        text = answer.getvalue().decode()
        return answer.status_code, text.count("\r\n") - 1 == int(answer["X-Ticket-Count"])


def fall_asleep():
    """Let a third of the tickets wait out a backoff, as after an outage that is over."""
    later = timezone.now() + timedelta(hours=1)
    for pk in Ticket.objects.order_by("?").values_list("pk", flat=True)[: ROWS // 3]:
        Ticket.objects.filter(pk=pk, lease_token=None).update(
            email_status="pending", next_attempt_at=later, last_error=AWAY
        )
    MailChannel.objects.update_or_create(
        name=channel_name(), defaults={"must_wake": True, "failing_since": None}
    )


def wake():
    fall_asleep()
    breaker._asked_at = float("-inf")
    attempts.wake_what_waited()


@contextmanager
def own_connection():
    try:
        yield
    finally:
        connection.close()


def run_contention(server, *, rounds, seconds=300):
    """Let three agents, two senders, an export and a waker at the same rows; return what happened.

    Each agent acts `rounds` times; it ends after so many seconds in any case.
    """
    server.faults["RCPT"] = Sometimes()
    pks = [TicketFactory(email_status="pending").pk for _ in range(ROWS)]
    agents = [Agent(number, pks) for number in range(4)]
    result, over = Contention(), threading.Event()
    end, before = time.monotonic() + seconds, count_deadlocks()

    def repeat(name, act, is_over):
        with own_connection():
            while not is_over() and time.monotonic() < end:
                try:
                    act()
                except Exception as exc:
                    result.errors.append(f"{name}: {exc!r}")
                result.done[name] += 1

    def act_as(agent):
        numbers = iter(range(rounds))

        def act():
            status = agent.act()
            if status >= 500:
                result.errors.append(f"acts: {status}")

        repeat("acts", act, lambda: next(numbers, None) is None)

    def export():
        status, is_whole = agents[-1].export()
        if status >= 500:
            result.errors.append(f"exports: {status}")
        result.incomplete += not is_whole

    def send():
        if attempts.attempt_next() is None:
            time.sleep(0.01)

    with ThreadPoolExecutor(8) as threads:
        others = [
            threads.submit(repeat, name, act, over.is_set)
            for name, act in (
                ("looks of a sender", send),
                ("looks of a sender", send),
                ("exports", export),
                ("wakings", wake),
            )
        ]
        for run in [threads.submit(act_as, agent) for agent in agents[:-1]]:
            run.result()
        over.set()
        for run in others:
            run.result()
    # A session tells its numbers when it ends, or a second later.
    time.sleep(1.5)
    result.deadlocks = count_deadlocks() - before
    return result

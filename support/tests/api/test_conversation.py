"""A case as a program lives it: open, wait for the answer, ask back, say that it is solved."""

import time

import pytest
import requests

from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory
from support.answering import write_reply
from support.models import Ticket
from support.tests.factories import make_staff

pytestmark = pytest.mark.django_db(transaction=True)


class Case:
    """What a developer's program does, with nothing but HTTP."""

    def __init__(self, origin, secret):
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {secret}"
        self.tickets = f"{origin}/v1/support/tickets"
        self.etag = self.last = None

    def open(self, message):
        body = {"type": "technical", "reply_address": "ada@example.com", "message": message}
        key = {"Idempotency-Key": "case-1"}
        answer = self.session.post(self.tickets, json=body, headers=key, timeout=30)
        assert answer.status_code == 201
        self.url = self.tickets + "/" + answer.json()["id"]
        self.last = answer.json()["id"]

    def has_changed(self):
        """Whether the ticket is not what it was at the last look."""
        headers = {"If-None-Match": self.etag} if self.etag else {}
        answer = self.session.get(self.url, headers=headers, timeout=30)
        self.etag = answer.headers["ETag"]
        return answer.status_code != 304

    def read_news(self):
        rows = []
        url = f"{self.url}/messages?after={self.last}"
        while url:
            answer = self.session.get(url, timeout=30)
            rows += answer.json()["messages"]
            following = answer.links.get("next", {}).get("url")
            url = requests.compat.urljoin(url, following) if following else None
        self.last = rows[-1]["id"] if rows else self.last
        return rows

    def wait_for_support(self):
        while True:
            if self.has_changed():
                rows = [row for row in self.read_news() if row["author"] == "support"]
                if rows:
                    return [row["text"] for row in rows]
            time.sleep(0.05)

    def write(self, message):
        answer = self.session.post(f"{self.url}/messages", json={"message": message}, timeout=30)
        assert answer.status_code == 201

    def solve(self):
        answer = self.session.patch(self.url, json={"state": "solved"}, timeout=30)
        return answer.json()["state"]


@pytest.mark.timeout(120)
def test_goes_from_the_first_word_to_solved(service, process_env):
    plan = PlanFactory(slug="busy", requests_per_minute=100_000)
    key, agent = APIKeyFactory(user=UserFactory(plan=plan)), make_staff("Agents", "bea")
    case = Case(service(SUPPORT_EMAIL="").url, key.secret)
    case.open("Error 4001 since noon.")
    assert case.has_changed()
    assert not case.has_changed()

    def answer(text):
        write_reply(Ticket.objects.get(), agent, text, leased=False)

    answer("Which SDK is it?")
    assert case.wait_for_support() == ["Which SDK is it?"]
    assert Ticket.objects.get().state == "waiting"
    case.write("ctxfy-python 2.14.1")
    assert Ticket.objects.get().state == "open"
    answer("It is mended in 2.14.2.")
    assert case.wait_for_support() == ["It is mended in 2.14.2."]
    assert case.solve() == "solved"
    assert not case.read_news()
    assert Ticket.objects.get().solved_at is not None

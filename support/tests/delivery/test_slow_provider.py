"""A mail provider that takes its time costs those who wait for it, and nobody else."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import requests

from ctxfy_support.serving.turns import MOST_LENT
from ctxfy_support.tests.loopback import Meanwhile
from support.models import Ticket
from support.tests import chaos

pytestmark = pytest.mark.django_db(transaction=True)

TICKET = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice"}


@pytest.fixture
def release():
    return threading.Event()


@pytest.fixture
def server(scripted_smtp_server, release):
    """A server that takes each mail and says so once it is let."""
    scripted_smtp_server.security = "none"
    scripted_smtp_server.faults["."] = Meanwhile(partial(release.wait, 60))
    with ThreadPoolExecutor(2 * MOST_LENT) as scripted_smtp_server.clients:
        yield scripted_smtp_server
        release.set()


def call(service, secret, method, **kwargs):
    headers = {"Authorization": f"Bearer {secret}"}
    url = f"{service.url}/v1/support/tickets"
    return requests.request(method, url, headers=headers, timeout=60, **kwargs).json()


def test_lets_others_read_meanwhile(service, server, release):
    """Five requests wait for their mail in a process of four threads."""
    running = service(**server.env, SUPPORT_EMAIL_DEADLINE="60")
    secret = chaos.make_secret()
    posts = [server.clients.submit(call, running, secret, "POST", json=TICKET) for _ in range(5)]
    server.wait_for(5)
    assert call(running, secret, "GET")["pagination"]["total"] == 5
    release.set()
    assert [post.result()["status"] for post in posts] == ["sent"] * 5


def test_answers_pending_where_too_many_wait_and_sends_in_the_background(service, server, release):
    running = service(**server.env, SUPPORT_EMAIL_DEADLINE="60")
    secret = chaos.make_secret()
    posts = [
        server.clients.submit(call, running, secret, "POST", json=TICKET) for _ in range(MOST_LENT)
    ]
    server.wait_for(MOST_LENT)
    for count in (1, 2):
        assert call(running, secret, "POST", json=TICKET)["status"] == "pending"
        server.wait_for(MOST_LENT + count)
    release.set()
    assert [post.result()["status"] for post in posts] == ["sent"] * MOST_LENT
    assert chaos.wait_until(lambda: not Ticket.objects.exclude(email_status="sent").exists(), 30)
    assert len(server.messages) == MOST_LENT + 2

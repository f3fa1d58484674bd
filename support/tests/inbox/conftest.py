"""A ticket, the address that its mails are answered at, and SendGrid to bring the answers."""

import base64

import pytest
from django.test import Client

from support.inbox.wrong_secrets import wrong_secrets
from support.reply_addresses import find_reply_address
from support.tests.factories import TicketFactory
from support.tests.inbox.sendgrid import (
    CONTENT_TYPE,
    INBOUND,
    SECRET,
    TRACKING,
    make_parsed_form,
    make_raw_form,
)


@pytest.fixture(autouse=True)
def ways_in(settings):
    settings.SUPPORT_EMAIL_REPLIES = "help@ctxfy.example"
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": SECRET}
    yield
    wrong_secrets.__init__()


@pytest.fixture
def ticket(db):
    return TicketFactory(state="waiting", email_status="sent")


@pytest.fixture
def address(ticket):
    return find_reply_address(ticket.pk)


@pytest.fixture
def sendgrid():
    """`sendgrid(path, body)`: a POST as SendGrid makes it, with the secret."""

    def post(path, body, *, secret=SECRET, content_type=CONTENT_TYPE, **headers):
        if secret:
            headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
        client = Client(raise_request_exception=False)
        return client.post(path, body, content_type=content_type, headers=headers)

    return post


@pytest.fixture(params=["raw", "parsed"])
def deliver(request, sendgrid):
    """`deliver(raw, to)`: SendGrid brings a mail, once with each of its two settings."""
    make_form = {"raw": make_raw_form, "parsed": make_parsed_form}[request.param]
    return lambda raw, to, sender="ada@example.com": sendgrid(INBOUND, make_form(raw, to, sender))


@pytest.fixture
def tell(sendgrid):
    """`tell(event, …)`: SendGrid posts what became of mails."""
    import json

    return lambda *events: sendgrid(
        TRACKING, json.dumps(events).encode(), content_type="application/json"
    )

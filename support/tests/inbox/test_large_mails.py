"""A mail comes through the real server with all that is attached; a stranger's is not read."""

import base64
import os
import socket

import pytest
import requests

from ctxfy_support.tests.loopback import HOST
from support.inbound_mail import InboundMail
from support.models import Ticket
from support.tests.inbox.mails import make_mail
from support.tests.inbox.sendgrid import CONTENT_TYPE, INBOUND, SECRET, make_raw_form

MEGABYTE = 1024 * 1024


@pytest.fixture
def running(service, ticket, address):
    replies = {"SUPPORT_EMAIL_REPLIES": "help@ctxfy.example", "ANYMAIL_WEBHOOK_SECRET": SECRET}
    return service(**replies)


def make_form_of(megabytes, address):
    data = base64.encodebytes(os.urandom(megabytes * MEGABYTE * 3 // 4)).decode()
    body = (
        "--x\r\nContent-Type: text/plain\r\n\r\nSee the log.\r\n--x\r\n"
        'Content-Type: application/zip; name="log.zip"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{data}\r\n--x--"
    )
    raw = make_mail(address, body, Content_Type="multipart/mixed; boundary=x")
    return make_raw_form(raw, address)


def post(running, body):
    headers = {"Content-Type": CONTENT_TYPE}
    url = running.url + INBOUND
    return requests.post(url, body, headers=headers, auth=tuple(SECRET.split(":")), timeout=60)


@pytest.mark.parametrize("make_body", [lambda form: form, lambda form: iter([form])])
def test_is_taken_with_what_is_attached(running, address, make_body):
    """With its length and chunked, of which Django sees no length."""
    assert post(running, make_body(make_form_of(20, address))).status_code == 200
    message = Ticket.objects.get().messages.get()
    assert message.text == "See the log."
    [attachment] = message.attachments
    assert (attachment["name"], attachment["size"]) == ("log.zip", 15 * MEGABYTE)


def test_is_refused_beyond_what_sendgrid_sends(running, address):
    assert post(running, b"x" * (33 * MEGABYTE)).status_code == 413
    assert not InboundMail.objects.exists()


def test_of_a_stranger_is_answered_by_its_head(running):
    head = f"POST {INBOUND} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {30 * MEGABYTE}\r\n\r\n"
    with socket.create_connection((HOST, running.port), timeout=10) as client:
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 403")

"""Operators see what comes in, and are warned where nothing can."""

from io import StringIO

import pytest
from django.core.management import call_command

from support.tests.inbox.mails import make_mail

pytestmark = pytest.mark.django_db


def check():
    err = StringIO()
    call_command("check", stdout=StringIO(), stderr=err)
    return err.getvalue()


def test_warn_where_nothing_brings_what_customers_answer(settings):
    assert "support.W002" not in check()
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": ""}
    assert "support.W002" in check()
    settings.IMAP_HOST = "imap.example.com"
    assert "support.W002" not in check()
    settings.IMAP_HOST = settings.SUPPORT_EMAIL_REPLIES = ""
    assert "support.W002" not in check()


def test_count_mails_by_way_and_outcome(deliver, address, client):
    mail = make_mail(address)
    for raw in (mail, mail, make_mail("help@ctxfy.example")):
        deliver(raw, "help@ctxfy.example")
    samples = client.get("/metrics").content.decode().splitlines()
    total = 'support_inbound_mails_total{way="sendgrid",outcome='
    assert {f'{total}"{name}"}} 1' for name in ("stored", "repeated", "unmatched")} <= set(samples)
    assert "support_inbound_mails_unmatched 1" in samples

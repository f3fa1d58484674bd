"""No command to the mailbox lasts longer than its deadline, however the server dawdles."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ctxfy_support.tests.loopback import Drip, Garbage, Silence
from support.delivery.stop_request import StopRequest
from support.inbound_mail import InboundMail
from support.inbox import imap
from support.tests.inbox.imap.imap_server import ScriptedIMAPServer
from support.tests.inbox.imap.mails import make_mail

pytestmark = pytest.mark.django_db(transaction=True)

STAGES = ("connect", "CAPABILITY", "AUTHENTICATE", "SELECT", "NOOP", "SEARCH", "FETCH", "STORE")
# Without an end: only the deadline can end it.
DRIP = Drip(b"* OK still here " * 99, seconds=0.05)


@pytest.fixture
def server(use_mailbox, monkeypatch):
    monkeypatch.setattr(imap, "COMMAND_SECONDS", 0.4)
    monkeypatch.setattr(imap, "GOODBYE_SECONDS", 0.2)
    with ScriptedIMAPServer([make_mail(1)], capabilities="AUTH=PLAIN IDLE") as server:
        yield use_mailbox(server)


def fetch():
    with pytest.raises(CommandError, match="The mailbox: no answer within") as failure:
        call_command("fetch_replies", stdout=StringIO())
    assert failure.value.returncode == 2


@pytest.mark.parametrize("fault", [Silence(), DRIP], ids=["silence", "drip"])
@pytest.mark.parametrize("stage", STAGES)
def test_gives_up_at_the_deadline(server, stage, fault):
    server.faults[stage] = fault
    fetch()
    del server.faults[stage]
    call_command("fetch_replies", stdout=StringIO())
    assert InboundMail.objects.count() == 1
    assert server.seen == {1}


@pytest.mark.parametrize("fault", [Silence(), DRIP], ids=["silence", "drip"])
def test_gives_up_a_handshake(server, use_mailbox, fault):
    use_mailbox(server, "tls")
    server.faults["connect"] = Drip(b"\x16\x03\x03\x40\x00" + b"x" * 999, seconds=0.05)
    if fault is not DRIP:
        server.faults["connect"] = fault
    fetch()


def test_waits_no_longer_for_the_goodbye(server):
    server.faults["LOGOUT"] = DRIP
    call_command("fetch_replies", stdout=StringIO())
    assert server.seen == {1}


@pytest.mark.parametrize("stage", ["connect", "CAPABILITY", "SELECT", "NOOP", "SEARCH", "FETCH"])
def test_takes_nonsense_for_a_lost_connection(server, stage):
    server.faults[stage] = Garbage()
    with pytest.raises(CommandError, match="The mailbox: "):
        call_command("fetch_replies", stdout=StringIO())
    assert not InboundMail.objects.exists()


@pytest.mark.parametrize("fault", [Drip(b"* 1 " * 99, seconds=0.05), Silence()])
@pytest.mark.parametrize("begun", [b"", b"+ idling\r\n", b"+ idling\r\n* 1 EXI"])
def test_gives_up_idle(server, monkeypatch, fault, begun):
    """Where the server does not say that it idles, does not end it, says half of something."""
    monkeypatch.setattr(imap, "IDLE_SECONDS", 0.2)
    server.idling, server.faults["IDLE"] = begun, fault
    with imap.Mailbox(StopRequest()) as mailbox, pytest.raises(imap.MailboxError):
        mailbox.wait(0.1, lambda: None)

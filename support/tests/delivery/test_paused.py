"""A copy of the service that may mail nobody: SUPPORT_EMAIL_DELIVERY=paused."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from support.delivery import attempts, batches
from support.models import Message, Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def provider(use_mail, smtp_server):
    """A provider that would take every mail, and the setting that holds them all back."""
    return use_mail(smtp_server, SUPPORT_EMAIL_DELIVERY="paused")


def resend(*arguments):
    out = StringIO()
    call_command("resend_failed_emails", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()[-1]


def test_stores_a_ticket_whose_mail_waits(post, provider):
    answer = post()
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert not provider.messages
    assert Ticket.objects.get().attempts == 0


def test_keeps_an_agents_answer(desk, provider):
    ticket = TicketFactory()
    url = reverse("admin:support_ticket_reply", args=[ticket.pk])
    page = desk.post(url, {"text": "Refunded."}, follow=True).content.decode()
    assert "Your answer is kept and will be sent once sending goes on." in page
    assert Message.objects.get().email_status == "pending"
    assert not provider.messages


@pytest.mark.parametrize("act", ["resend", "bulk"])
def test_keeps_what_an_agent_resends(desk, provider, act):
    ticket = TicketFactory(email_status="failed")
    arguments = [] if act == "bulk" else [ticket.pk]
    url = reverse(f"admin:support_ticket_{act}", args=arguments)
    desk.post(url, {"do": "send", "tickets": [ticket.pk]})
    assert Ticket.objects.get().email_status == "pending"
    assert not provider.messages


def test_holds_whatever_takes_up_what_is_due(provider):
    TicketFactory()
    assert attempts.attempt_next() is None
    assert attempts.attempt_within(Ticket.objects.all(), 5) == 0
    assert list(batches.attempt_due(batches.Pace())) == []
    assert not provider.messages


@pytest.mark.parametrize("arguments", [(), ("--due",), ("--watch",), ("--since", "2026-01-01")])
def test_refuses_the_command(provider, arguments):
    TicketFactory()
    with pytest.raises(CommandError, match="SUPPORT_EMAIL_DELIVERY=paused") as refusal:
        resend(*arguments)
    assert refusal.value.returncode == 2
    assert not provider.messages


def test_lists_what_waits(capsys):
    TicketFactory()
    with pytest.raises(SystemExit):
        call_command("resend_failed_emails", "--dry-run")
    assert capsys.readouterr().out.endswith("sent=0 pending=1 failed=0\n")


def test_sends_what_is_asked_for_all_the_same(provider):
    chosen, _ = TicketFactory(), TicketFactory()
    assert resend("--even-if-paused", "--ticket", str(chosen.pk)) == "sent=1 pending=0 failed=0"
    assert len(provider.messages) == 1


def test_knows_no_worker_that_is_not_paused():
    with pytest.raises(CommandError, match="--watch goes with"):
        resend("--watch", "--even-if-paused")


def test_says_so_everywhere(client, desk):
    answer = client.get("/health").json()
    assert (answer["status"], answer["mail"], answer["workers"]) == (
        "degraded",
        "paused",
        "not needed",
    )
    assert "Paused: nothing is mailed" in desk.get(reverse("admin:index")).content.decode()
    err = StringIO()
    call_command("check", stdout=StringIO(), stderr=err)
    assert "support.W004" in err.getvalue()


def test_sends_what_has_waited_once_it_ends(post, provider, settings):
    post()
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    assert resend("--due") == "sent=1 pending=0 failed=0"
    assert len(provider.messages) == 1

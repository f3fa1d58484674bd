"""manage.py create_demo_tickets."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from accounts.tests.factories import PlanFactory
from support.models import CannedReply, Message, SavedView, Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def development(settings):
    settings.DEBUG = True
    PlanFactory()


def create(*arguments):
    call_command("create_demo_tickets", *arguments, verbosity=0)


def test_shows_something_on_every_page(desk):
    create("--count", "150")
    assert Ticket.objects.count() == 150
    for field in ("state", "priority", "type", "subscription_plan", "email_status"):
        assert Ticket.objects.values(field).distinct().count() > 1
    for tab in ("mine", "unassigned", "open", "waiting", "mail", "all"):
        url = reverse("admin:support_ticket_changelist") + f"?tab={tab}"
        assert desk.get(url).context["rows"], tab
    assert CannedReply.objects.exists()
    assert SavedView.objects.exists()
    assert desk.get(reverse("admin:index")).context["solution"] is not None


def test_shows_conversations(desk):
    for _ in range(2):
        create("--count", "150")
    assert set(Message.objects.values_list("via", flat=True)) == {"api", "mail", "back-office"}
    for message in Message.objects.exclude(via="back-office").select_related("ticket"):
        assert message.ticket.state != "waiting"
        assert message.ticket.first_replied_at < message.created_at <= timezone.now()
    bounced = Message.objects.filter(last_error__startswith="Bounced")
    assert {message.ticket.state for message in bounced} == {"open"}
    page = desk.get(reverse("admin:support_ticket_mail"))
    assert len(page.context["rows"]) == 2


def test_queues_no_mail():
    create()
    for model in (Ticket, Message):
        assert not model.objects.filter(email_status__in=["pending", "stored"]).exists()
        assert not model.objects.due().exists()


def test_is_the_same_for_the_same_seed():
    messages = []
    for _ in range(2):
        create("--count", "30", "--seed", "7")
        rows = Ticket.objects.order_by("id")[len(messages) * 30 :]
        messages.append(sorted(rows.values_list("message", "state", "type")))
    assert messages[0] == messages[1]


def test_leaves_other_tickets_alone():
    TicketFactory()
    create("--if-empty")
    assert Ticket.objects.count() == 1


def test_keeps_states_and_times_in_step():
    create()
    solved = Ticket.objects.filter(solved_at__isnull=False)
    assert set(solved.values_list("state", flat=True)) == {"solved", "closed"}
    assert not Ticket.objects.filter(state__in=["solved", "closed"], solved_at=None).exists()


def test_refuses_in_production(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError) as refusal:
        create()
    assert (refusal.value.returncode, Ticket.objects.count()) == (2, 0)

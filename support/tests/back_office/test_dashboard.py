"""The numbers on the back-office's first page."""

import html
import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.tests.factories import UserFactory
from support.mail_channel import MailChannel, channel_name
from support.models import Message, Ticket
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")


@pytest.fixture
def numbers(desk):
    return lambda: desk.get(INDEX).context


def ago(**units):
    return timezone.now() - timedelta(**units)


def solve(ticket, after):
    solved_at = ticket.created_at + after
    Ticket.objects.filter(pk=ticket.pk).update(state="solved", solved_at=solved_at)


def test_counts_open_tickets_by_type_and_age(numbers):
    for days in (0, 0, 2, 5, 20):
        TicketFactory(type="technical", created_at=ago(days=days, minutes=1))
    TicketFactory(type="billing")
    solve(TicketFactory(type="billing"), timedelta(0))
    rows = [(row["type"], row["total"], row["ages"]) for row in numbers()["open_types"]]
    assert rows == [("technical", 5, [2, 1, 1, 1]), ("billing", 1, [1, 0, 0, 0])]


def test_opens_what_it_counts(desk, agent):
    busy = UserFactory()
    for days, state in ((0, "new"), (2, "waiting"), (9, "open"), (1, "solved"), (2, "waiting")):
        ticket = TicketFactory(type="q&a", user=busy, created_at=ago(days=days, minutes=1))
        Ticket.objects.filter(pk=ticket.pk).change(agent, state=state)
    page = desk.get(INDEX).content.decode()
    numbered = re.findall(r'<a [^>]*href="([^"]+)"[^>]*>(?:(?!</a>).)*?>([0-9]+)<', page, re.DOTALL)
    (of_type,) = re.findall(r'<a [^>]*href="([^"]+)">q&amp;a</a>', page)
    links = [*numbered, (of_type, "4")]
    assert len(links) == 7
    for link, number in links:
        assert desk.get(html.unescape(link)).context["queue"].count == int(number), link


def test_counts_created_and_solved_each_day(numbers):
    solve(TicketFactory(created_at=ago(days=3)), timedelta(days=2))
    TicketFactory.create_batch(2, created_at=ago(days=3))
    TicketFactory(created_at=ago(days=40))
    days = numbers()["days"]
    assert len(days) == 30
    assert [(day["created"], day["solved"]) for day in days[-4:]] == [
        (3, 0),
        (0, 0),
        (0, 1),
        (0, 0),
    ]
    assert sum(day["created"] for day in days) == 3


def test_knows_the_median_times(numbers):
    assert numbers()["first_response"] is None
    for hours in (1, 2, 30):
        ticket = TicketFactory(created_at=ago(hours=40))
        solve(ticket, timedelta(hours=hours))
        Ticket.objects.filter(pk=ticket.pk).update(
            first_replied_at=ticket.created_at + timedelta(minutes=hours)
        )
    assert numbers()["solution"] == timedelta(hours=2)
    assert numbers()["first_response"] == timedelta(minutes=2)


def test_tells_how_the_mail_is(numbers, desk):
    oldest = TicketFactory(email_status="failed", created_at=ago(days=2))
    Message.objects.create(ticket=oldest, to="a@x.example", text="x", email_status="pending")
    TicketFactory(email_status="sent")
    mail = numbers()["mail"]
    assert (mail["pending"], mail["failed"], mail["oldest"]) == (1, 1, oldest.created_at)
    assert mail["failing_since"] is None
    MailChannel.objects.create(name=channel_name(), failing_since=ago(hours=1), last_error="535")
    assert "Failing since" in desk.get(INDEX).content.decode()


def test_names_the_busiest_accounts(numbers):
    busy, calm = UserFactory(), UserFactory()
    TicketFactory.create_batch(3, user=busy)
    TicketFactory(user=calm)
    TicketFactory.create_batch(9, user=calm, created_at=ago(days=9))
    rows = [(row["name"], row["tickets"]) for row in numbers()["busiest"]]
    assert rows == [(busy.username, 3), (calm.username, 1)]


def test_does_not_grow_in_queries(desk, django_assert_max_num_queries):
    TicketFactory()
    with django_assert_max_num_queries(26) as few:
        desk.get(INDEX)
    for number in range(20):
        TicketFactory(type=str(number))
    with django_assert_max_num_queries(len(few)):
        desk.get(INDEX)


def test_shows_nothing_to_staff_without_a_role(db):
    TicketFactory(type="secret-type")
    page = log_in(UserFactory(is_staff=True)).get(INDEX).content.decode()
    assert "opens no page" in page
    assert "secret-type" not in page

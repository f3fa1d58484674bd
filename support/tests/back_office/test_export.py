"""The list as CSV."""

import csv

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts.tests.factories import UserFactory
from support.models import Ticket, TicketEvent
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

URL = reverse("admin:support_ticket_export")


def download(client, queue="tab=all"):
    return client.post(URL, {"queue": queue})


def read(response):
    return list(csv.DictReader(response.getvalue().decode().splitlines(keepends=True)))


def test_holds_the_filtered_list(desk, agent):
    tickets = TicketFactory.create_batch(3, type="technical", message='Line one\r\nline "two"')
    TicketFactory(type="billing")
    rows = read(download(desk, "tab=all&type=technical"))
    assert [row["id"] for row in rows] == [str(ticket.pk) for ticket in reversed(tickets)]
    assert rows[0]["message"] == 'Line one\nline "two"'
    assert rows[0]["account"] == tickets[-1].user.username
    assert rows[0]["created_at"].endswith("+00:00")


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    "\n=1",
    "＝1",  # noqa: RUF001  (the full-width sign, which Excel takes for one too)
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("field", ["message", "type", "reply_address"])
def test_disarms_formulas(desk, field, text):
    TicketFactory(**{field: text})
    (row,) = read(download(desk))
    assert row[field].startswith("'")


def test_disarms_an_accounts_name(desk):
    TicketFactory(user=UserFactory(username="=1+1"))
    assert read(download(desk))[0]["account"] == "'=1+1"


def test_leaves_numbers_and_words_alone(desk):
    TicketFactory(token_balance=-5, message="a = b")
    (row,) = read(download(desk))
    assert (row["token_balance"], row["message"]) == ("-5", "a = b")


def test_ends_each_record_and_nothing_else_with_cr_lf(desk):
    TicketFactory.create_batch(4, message="a\r\nb\rc\nd")
    response = download(desk)
    assert response["X-Ticket-Count"] == "4"
    text = response.getvalue()
    assert (text.count(b"\r\n"), text.count(b"\r")) == (5, 5)


def test_streams_in_batches(desk, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr("support.back_office.export.BATCH", 2)
    TicketFactory.create_batch(5)
    response = download(desk)
    assert response.streaming
    assert len(list(response.streaming_content)) == 4


@pytest.mark.parametrize("limit", [2, 10_000])
def test_holds_every_ticket_once_however_many(desk, monkeypatch, limit):
    monkeypatch.setattr("support.back_office.export.BATCH", 2)
    monkeypatch.setattr("support.back_office.queue.COUNT_LIMIT", limit)
    tickets = TicketFactory.create_batch(7)
    same_time = TicketFactory.create_batch(4, created_at=tickets[0].created_at)
    ids = [row["id"] for row in read(download(desk))]
    assert len(ids) == 11
    assert set(ids) == {str(ticket.pk) for ticket in [*tickets, *same_time]}


def test_is_written_to_every_timeline_and_to_the_log(desk, agent):
    TicketFactory.create_batch(3)
    read(download(desk))
    events = TicketEvent.objects.filter(kind="export", actor=agent)
    assert events.values("ticket").distinct().count() == 3
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr) == (agent, "3 tickets")
    assert "tab=all" in entry.change_message


def test_needs_its_permission(desk, agent):
    TicketFactory()
    permission = Permission.objects.get(codename="export_ticket")
    agent.groups.get().permissions.remove(permission)
    client = log_in(agent)
    assert download(client).status_code == 403
    assert not TicketEvent.objects.exists()
    page = client.get(reverse("admin:support_ticket_changelist")).content.decode()
    assert "data-export>" not in page


@pytest.mark.parametrize("queue", ["\x00", "tab=%00&q=%00", "q=(", "x" * 5_000])
def test_never_breaks_on_nonsense(desk, queue):
    TicketFactory()
    assert download(desk, queue).status_code == 200


def test_is_empty_where_nothing_matches(desk):
    assert read(download(desk)) == []
    assert Ticket.objects.count() == 0

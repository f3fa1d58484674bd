"""Lists that are put together from parts, and plans that fit what is asked for."""

from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from support.back_office import queue as queue_module
from support.models import Ticket
from support.tests.factories import TicketFactory

LIST = reverse("admin:support_ticket_changelist")


@pytest.fixture
def mixed(db):
    """Every second one of seven is solved; the newest comes first."""
    now = timezone.now()
    return [
        TicketFactory(
            created_at=now - timedelta(hours=number),
            solved_at=now if number % 2 else None,
            state="solved" if number % 2 else "open",
            email_status="sent",
        ).pk
        for number in range(7)
    ]


def test_lists_solved_and_unsolved_in_one_order(desk, mixed, monkeypatch):
    monkeypatch.setattr(queue_module, "PER_PAGE", 3)
    query = {"tab": "all", "type": "billing"}
    pages = [desk.get(LIST, query | {"page": page}).context["rows"] for page in (1, 2, 3)]
    assert [ticket.pk for page in pages for ticket in page] == mixed


def test_goes_from_a_solved_to_an_unsolved_neighbour(desk, mixed):
    page = desk.get(
        reverse("admin:support_ticket_change", args=[mixed[3]]), {"queue": "tab=all&type=billing"}
    )
    assert (page.context["before"], page.context["after"]) == (mixed[2], mixed[4])


def test_keeps_no_plan_that_was_made_for_any_value(desk, mixed):
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL prepares statements")
    for _ in range(8):
        desk.get(LIST, {"tab": "all", "type": "billing"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%LEFT(%'")
        assert cursor.fetchone() == (0,)


def test_writes_no_list_index_for_a_new_ticket(db):
    full = {
        index.name
        for index in Ticket._meta.indexes
        if index.condition is None or "solved_at__isnull', True" in str(index.condition)
    }
    assert full == {
        "support_tickets_of_account",
        "support_tickets_by_time",
        "support_tickets_unsolved",
        "support_tickets_mine",
    }

"""GET /v1/support/tickets, as the contract's section 2 has it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.tests.factories import UserFactory
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"
SHOWN = [
    *("id", "created_at", "status", "sent_at"),
    *("type", "reply_address", "message", "state", "updated_at"),
    *("request_ids", "context"),
]


@pytest.fixture
def tickets(api_key):
    """Three of the caller's, newest first, and a stranger's."""
    TicketFactory()
    now = timezone.now()
    return [
        TicketFactory(user=api_key.user, created_at=now - timedelta(hours=age)) for age in range(3)
    ]


def test_lists_the_callers_own_newest_first(api, tickets):
    body = api.get(PATH).json()
    assert list(body) == ["tickets", "pagination"]
    assert [row["id"] for row in body["tickets"]] == [str(ticket.pk) for ticket in tickets]
    assert body["pagination"] == {"page": 1, "per_page": 25, "total": 3, "pages": 1}


def test_shows_what_the_contract_names_and_nothing_internal(api, tickets):
    assert list(api.get(PATH).json()["tickets"][0]) == SHOWN
    assert list(api.get(f"{PATH}/{tickets[0].pk}").json()) == SHOWN


def test_reads_back_what_was_sent(api, post):
    receipt = post(message=" kept\n\tas written ").json()
    ticket = api.get(f"{PATH}/{receipt['id']}").json()
    assert ticket.items() >= receipt.items()
    assert ticket["message"] == " kept\n\tas written "
    assert ticket["state"] == "new"


@pytest.mark.parametrize(
    ("query", "rows", "pages"),
    [("per_page=2", 2, 2), ("per_page=2&page=2", 1, 2), ("page=99", 0, 1), ("per_page=100", 3, 1)],
)
def test_turns_pages(api, tickets, query, rows, pages):
    body = api.get(f"{PATH}?{query}").json()
    assert (len(body["tickets"]), body["pagination"]["pages"]) == (rows, pages)


def test_has_no_pages_without_tickets(api):
    pagination = {"page": 1, "per_page": 25, "total": 0, "pages": 0}
    assert api.get(PATH).json() == {"tickets": [], "pagination": pagination}


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.0", "%00", "1" * 40, "٣"])
@pytest.mark.parametrize("name", ["page", "per_page"])
def test_refuses_a_page_that_cannot_be(api, name, value):
    response = api.get(f"{PATH}?{name}={value}")
    assert response.status_code == 400
    assert [row["field"] for row in response.json()["details"]] == [name]


def test_refuses_more_than_a_hundred_rows(api):
    assert api.get(f"{PATH}?per_page=101").status_code == 400


@pytest.mark.parametrize(
    "make_id",
    [
        lambda ticket: TicketFactory().pk,
        lambda ticket: "01a20c5d-797b-7721-a7a7-b8996c551e97",
        lambda ticket: str(ticket.pk).upper(),
        lambda ticket: ticket.pk.hex,
        lambda ticket: "x",
        lambda ticket: "%00",
        lambda ticket: "..%2f..",
        lambda ticket: "1" * 5_000,
    ],
    ids=["stranger's", "unknown", "upper", "hex", "short", "nul", "dots", "long"],
)
def test_knows_no_such_ticket(api, tickets, make_id):
    response = api.get(f"{PATH}/{make_id(tickets[0])}")
    assert response.status_code == 404
    assert response.json() == {
        "error": "Not Found",
        "message": "The requested resource was not found",
        "code": 404,
    }


@pytest.mark.parametrize("count", [1, 50])
def test_costs_the_same_number_of_queries(api, api_key, django_assert_num_queries, count):
    TicketFactory.create_batch(count, user=api_key.user)
    api.get(PATH)
    with django_assert_num_queries(3):  # key and rate limit, total, page
        api.get(f"{PATH}?per_page=50")


def test_is_served_from_an_index(api, api_key):
    TicketFactory.create_batch(3, user=api_key.user)
    # Enough of somebody else's that walking all of them cannot look as cheap.
    TicketFactory.create_batch(100, user=UserFactory())
    page = Ticket.objects.filter(user=api_key.user)[:25]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The planner knows this table, whatever earlier tests have left it to believe.
            cursor.execute("ANALYZE support_tickets")
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
    assert "support_tickets_of_account" in page.explain()

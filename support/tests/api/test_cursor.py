"""The `Link` of a list: a walk through it neither repeats nor skips, whatever happens meanwhile."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from accounts.models import APIKey
from accounts.tests.factories import APIKeyFactory, PlanFactory
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"
UNKNOWN = "01a20c5d-797b-7721-a7a7-b8996c551e97"


def find_next(answer):
    """The path of the next page; None if there is none."""
    link = answer.headers.get("Link")
    return link and re.fullmatch(r'<(/v1/[^>]+)>; rel="next"', link)[1]


def walk(api, path, between=lambda: None, plural="tickets"):
    """The rows of all pages; `between` is called before each but the first."""
    rows = []
    while path:
        answer = api.get(path)
        assert answer.status_code == 200, answer.content
        rows += answer.json()[plural]
        if path := find_next(answer):
            between()
    return rows


def ids(rows):
    return [row["id"] if isinstance(row, dict) else str(row.pk) for row in rows]


@pytest.fixture
def tickets(api_key):
    """Seven of the caller's, newest first; three of them of one moment."""
    now = timezone.now()
    ages = [0, 1, 2, 2, 2, 3, 4]
    rows = [TicketFactory(user=api_key.user, created_at=now - timedelta(hours=age)) for age in ages]
    return sorted(rows, key=lambda row: (row.created_at, row.pk), reverse=True)


@pytest.mark.parametrize("per_page", range(1, 9))
def test_leads_to_every_row_once(api, tickets, per_page):
    assert ids(walk(api, f"{PATH}?per_page={per_page}")) == ids(tickets)


def test_says_where_the_next_page_is(api, tickets):
    answer = api.get(f"{PATH}?type=billing,a%5C%5C%26b&page=1&state=new&per_page=2")
    path = find_next(answer)
    assert urlsplit(path).path == PATH
    assert parse_qs(urlsplit(path).query) == {
        "type": ["billing,a\\\\&b"],
        "state": ["new"],
        "per_page": ["2"],
        "after": [str(tickets[1].pk)],
    }
    assert api.get(path).json()["pagination"] == {"per_page": 2, "total": 7}


@pytest.mark.parametrize("query", ["", "?per_page=7", "?per_page=4&page=2", "?page=9", "?type=x"])
def test_has_no_link_on_the_last_page(api, tickets, query):
    assert "Link" not in api.get(f"{PATH}{query}").headers


def test_joins_a_page_by_number(api, tickets):
    answer = api.get(f"{PATH}?per_page=3&page=2")
    assert ids(walk(api, find_next(answer))) == ids(tickets[6:])


@pytest.mark.parametrize("moment", ["now", "of the cursor", "of old"])
def test_neither_repeats_nor_skips_under_500_inserts(api, api_key, moment):
    api_key.user.plan = PlanFactory(slug="unlimited", requests_per_minute=10**6)
    api_key.user.save()
    began = timezone.now() - timedelta(days=1)
    before = TicketFactory.create_batch(60, user=api_key.user, created_at=began)
    newer = {"now": timedelta(days=1), "of the cursor": timedelta(0), "of old": timedelta(-1)}

    def insert():
        build = TicketFactory.build_batch
        others = build(50, user=api_key.user, created_at=began + newer[moment])
        Ticket.objects.bulk_create(others)

    rows = ids(walk(api, f"{PATH}?per_page=6", insert))
    assert Ticket.objects.count() >= 60 + 450
    assert len(set(rows)) == len(rows)
    kept = [row for row in rows if row in set(ids(before))]
    assert kept == ids(sorted(before, key=lambda row: row.pk, reverse=True))


def test_goes_on_from_a_row_that_has_left_the_filter(api, tickets):
    path = find_next(api.get(f"{PATH}?state=new&per_page=3"))
    Ticket.objects.filter(pk=tickets[2].pk).update(state="solved")
    assert ids(walk(api, path)) == ids(tickets[3:])


def test_keeps_what_changes_while_it_is_walked_for_the_next_look(api, tickets):
    """A row that changes behind the walk is later than its beginning, so the next one has it."""
    began = timezone.now()
    since = (began - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    seen = []

    def change():
        Ticket.objects.filter(pk=tickets[0].pk).update(updated_at=timezone.now())

    Ticket.objects.update(updated_at=began - timedelta(days=1))
    late = tickets[3:6]
    Ticket.objects.filter(pk__in=[row.pk for row in late]).update(updated_at=began)
    seen += ids(walk(api, f"{PATH}?per_page=2&updated_after={since}", change))
    assert seen == ids(late)
    again = began.isoformat().replace("+00:00", "Z")
    assert ids(walk(api, f"{PATH}?updated_after={again}")) == ids(tickets[:1])


@pytest.mark.parametrize(
    "make_id",
    [
        lambda ticket: TicketFactory().pk,
        lambda ticket: APIKey.objects.get().pk,
        lambda ticket: UNKNOWN,
        lambda ticket: str(ticket.pk).upper(),
        lambda ticket: "x",
        lambda ticket: "",
        lambda ticket: "%00",
    ],
    ids=["stranger's", "a key's", "unknown", "upper", "short", "empty", "nul"],
)
def test_refuses_what_is_no_ticket_of_the_caller(api, tickets, make_id):
    answer = api.get(f"{PATH}?after={make_id(tickets[0])}")
    assert answer.status_code == 400
    assert answer.json()["details"] == [
        {"field": "after", "message": "Must be the id of a row of yours"}
    ]


def test_goes_either_by_number_or_by_cursor(api, tickets):
    answer = api.get(f"{PATH}?page=1&after={tickets[0].pk}")
    assert answer.status_code == 400
    assert [row["field"] for row in answer.json()["details"]] == ["page"]


@pytest.mark.parametrize("count", [2, 40])
def test_costs_the_same_number_of_queries(api, api_key, django_assert_num_queries, count):
    rows = TicketFactory.create_batch(count, user=api_key.user)
    api.get(PATH)
    with django_assert_num_queries(4):  # key and rate limit, the row to go on from, total, page
        api.get(f"{PATH}?per_page=30&after={rows[-1].pk}")


def test_leads_through_keys_too(api, api_key):
    APIKeyFactory()
    others = APIKeyFactory.create_batch(6, user=api_key.user)
    rows = walk(
        api, "/v1/api-keys?per_page=2", lambda: APIKeyFactory(user=api_key.user), "api_keys"
    )
    assert ids(rows) == ids([*reversed(others), api_key])
    answer = api.get(f"/v1/api-keys?per_page=2&after={others[3].pk}")
    assert answer.json()["pagination"] == {"per_page": 2, "total": 10}

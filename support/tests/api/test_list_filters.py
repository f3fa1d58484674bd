"""What GET /v1/support/tickets can be asked for, and what it refuses to understand."""

import re
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from django.db import connection

from accounts.tests.factories import UserFactory
from support.tests.factories import TicketFactory
from support.triage import TicketState

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"


def at(day, hour=0):
    return datetime(2026, 11, day, hour, tzinfo=UTC)


@pytest.fixture
def tickets(api_key):
    """One of each state, a day each from the 1st on; by state. And a stranger's of all kinds."""
    kinds = ["billing", "technical", "a,b", "a\\b", "Straße 7"]
    statuses = ["pending", "sent", "failed", "stored", "sent"]
    rows = {}
    for day, (state, kind, status) in enumerate(
        zip(TicketState.values, kinds, statuses, strict=True), 1
    ):
        fields = {"state": state, "type": kind, "email_status": status}
        TicketFactory(**fields)
        rows[state] = TicketFactory(
            **fields, user=api_key.user, created_at=at(day), updated_at=at(day, 12)
        )
    return rows


@pytest.fixture
def ask(api, tickets):
    """`ask(state="new,open")`: the states of the tickets that are listed, oldest first."""

    def ask(query="", **asked):
        answer = api.get(f"{PATH}?{query or urlencode(asked)}")
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert body["pagination"]["total"] == len(body["tickets"])
        return [row["state"] for row in reversed(body["tickets"])]

    return ask


@pytest.mark.parametrize(
    ("asked", "states"),
    [
        ({"state": "open"}, ["open"]),
        ({"state": "solved,new"}, ["new", "solved"]),
        ({"status": "sent"}, ["open", "closed"]),
        ({"status": "failed,pending"}, ["new", "waiting"]),
        ({"type": "billing"}, ["new"]),
        ({"type": "billing, technical "}, ["new", "open"]),
        ({"type": "Billing"}, []),
        ({"type": r"a\,b"}, ["waiting"]),
        ({"type": r"a\\b"}, ["solved"]),
        ({"type": r"a\,b,a\\b"}, ["waiting", "solved"]),
        ({"type": "a,b"}, []),
        ({"type": "Straße 7"}, ["closed"]),
        ({"created_after": "2026-11-04T00:00:00Z"}, ["closed"]),
        ({"created_after": "2026-11-03T23:59:59.999999999Z"}, ["solved", "closed"]),
        ({"created_before": "2026-11-02T00:00:00Z"}, ["new"]),
        ({"created_before": "2026-11-02T01:00:01+01:00"}, ["new", "open"]),
        ({"updated_after": "2026-11-05T11:00:00"}, ["closed"]),
        ({"updated_after": "2026-11-05T12:00:00Z"}, []),
        ({"status": "sent", "state": "closed,open", "type": "technical"}, ["open"]),
        ({"created_after": "2026-11-01T00:00:00Z", "created_before": "2026-11-03T00:00:00Z"},
         ["open"]),
    ],
)  # fmt: skip
def test_lists_what_passes_every_filter(ask, asked, states):
    assert ask(**asked) == states


def test_takes_a_plus_that_became_a_space(ask):
    assert ask("created_before=2026-11-02T01:00:01+01:00") == ["new", "open"]


def test_says_what_is_wrong_with_each_parameter(api):
    answer = api.get(f"{PATH}?page=0&state=lost&nonsense=1&type=&created_after=soon&%00=x")
    assert answer.status_code == 400
    assert answer.json()["details"] == [
        {"field": "state", "message": "Must be one or more of new, open, waiting, solved, closed, "
         "separated by commas"},
        {"field": "type", "message": "Must be one or more types, separated by commas; write \\, "
         "and \\\\ for a comma and a backslash within one"},
        {"field": "created_after",
         "message": "Must be a time in RFC 3339, such as 2026-11-23T10:00:00Z"},
        {"field": "page", "message": "Must be a whole number from 1 to 1000000000"},
        {"field": "nonsense", "message": "There is no such parameter here"},
        {"field": "\x00", "message": "There is no such parameter here"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        *("state=", "state=new,", "state=,new", "state=new,,open", "state=New", "state=new;open"),
        *("state=new&state=open", "status=new", "status=Sent", "status=sent%00"),
        *("type=", "type=,", "type=a,,b", "type=%20", "type=a,%20", "type=a%00", "type=a%0Ab"),
        *(r"type=a\b", "type=%5C", "type=a&type=b", f"type={'x' * 1_001}"),
        *("created_after=2026-11-01", "created_after=1795514460", "created_after="),
        *("created_before=2026-13-01T00:00:00Z", "created_before=2026-11-01T00:00Z"),
        *("updated_after=0001-01-01T00:00:00%2B23:59", "updated_after=9999-12-31T23:59:59-14:00"),
        *("created_after=2026-11-01T00:00:00Z&created_after=2026-11-01T00:00:00Z",),
        *("page=1&page=1", "per_page=1&per_page=2", "page[]=1", "format=xml", "?", "x=%ff"),
        *("State=new", "x" * 5_000),
    ],
)
def test_refuses_what_it_does_not_understand(api, query):
    answer = api.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert len(answer.json()["details"]) == 1
    assert len(answer.content) < 400


@pytest.mark.parametrize("query", ["", "&", "&&"])
def test_takes_an_empty_query(ask, query):
    assert len(ask(query)) == 5


@pytest.mark.parametrize(
    "path", [f"{PATH}/{{ticket}}", "/v1/api-keys", "/v1/api-keys/{key}", "/v1/account"]
)
@pytest.mark.parametrize("name", ["nonsense", "state", "created_after"])
def test_knows_no_filter_elsewhere(api, api_key, path, name):
    path = path.format(ticket=TicketFactory(user=api_key.user).pk, key=api_key.pk)
    assert api.get(path).status_code == 200
    answer = api.get(f"{path}?{name}=new")
    assert answer.status_code == 400
    message = "There is no such parameter here"
    assert answer.json()["details"] == [{"field": name, "message": message}]


def test_costs_no_query_more(api, tickets, django_assert_num_queries):
    api.get(PATH)
    with django_assert_num_queries(3):  # key and rate limit, total, page
        api.get(f"{PATH}?state=new,open&type=billing&updated_after=2026-11-01T00:00:00Z")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the plan is PostgreSQL's")
@pytest.mark.parametrize(
    "query",
    [
        "state=new,open",
        "status=failed,stored",
        "type=security,account",
        "updated_after=2026-11-01T00:00:00Z",
        "state=solved,closed&status=sent,failed&type=billing&created_before=2099-01-01T00:00:00Z",
        "page=9&per_page=20",
    ],
)
def test_finds_out_within_the_index_what_passes(api_key, api, query):
    """Not one ticket is read to be passed over; an account may have any number of those."""
    TicketFactory.create_batch(200, user=api_key.user, state="solved", email_status="sent")
    TicketFactory.create_batch(200, user=UserFactory())
    statements = []

    def note(execute, sql, params, many, context):
        if 'FROM "support_tickets"' in sql:
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        assert api.get(f"{PATH}?{query}").status_code == 200
    with connection.cursor() as cursor:
        # So small a table looks cheaper to read whole, or through any index.
        for index in ("by_time", "unsent", "due", "unsolved", "stored"):
            cursor.execute(f"DROP INDEX support_tickets_{index}")
        cursor.execute("ANALYZE support_tickets")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        assert len(statements) == 2  # total, page
        for sql, params in statements:
            cursor.execute(f"EXPLAIN {sql}", params)
            plan = "\n".join(row for (row,) in cursor.fetchall())
            assert re.search("Index Only Scan.* using support_tickets_of_account", plan), plan

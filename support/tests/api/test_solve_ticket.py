"""PATCH /v1/support/tickets/<id>: the customer says that it is solved."""

import json

import pytest
from django.db import connection
from django.urls import reverse

from support.models import Ticket
from support.tests.factories import TicketFactory
from support.tests.test_lock_order import run_meanwhile
from support.timeline import EventKind

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"


@pytest.fixture
def ticket(api_key):
    return TicketFactory(user=api_key.user, state="open")


@pytest.fixture
def patch(api, ticket):
    """`patch()`: say that it is solved; anything else by its body."""

    def patch(body='{"state": "solved"}', pk=None, **kwargs):
        body = body if isinstance(body, str) else json.dumps(body)
        return api.patch(f"{PATH}/{pk or ticket.pk}", body, "application/json", **kwargs)

    return patch


@pytest.mark.parametrize("state", ["new", "open", "waiting"])
def test_solves_it_as_an_agent_would(patch, api, ticket, agent, state):
    Ticket.objects.filter(pk=ticket.pk).update(state=state)
    answer = patch()
    assert answer.status_code == 200
    now = api.get(f"{PATH}/{ticket.pk}")
    assert (answer.json(), answer["ETag"]) == (now.json(), now["ETag"])
    assert answer.json()["state"] == "solved"
    ticket.refresh_from_db()
    assert ticket.solved_at == ticket.updated_at > ticket.created_at
    assert not Ticket.objects.unsolved().exists()
    event = ticket.events.get()
    assert (event.kind, event.before, event.after) == (EventKind.STATE, state, "solved")
    assert event.actor_id == ticket.user_id


def test_tells_agents_that_it_was_the_customer(patch, ticket, desk):
    patch()
    page = desk.get(reverse("admin:support_ticket_change", args=[ticket.pk])).content.decode()
    assert f"<strong>{ticket.user.username}</strong>, the customer," in page


def test_changes_nothing_twice(patch, ticket):
    first = patch()
    again = patch({"state": "solved", "message": "unknown here", "x": None})
    assert (again.status_code, again.json()) == (200, first.json())
    assert again["ETag"] == first["ETag"]
    assert ticket.events.count() == 1


def test_opens_no_closed_ticket(patch, ticket, agent):
    Ticket.objects.filter(pk=ticket.pk).change(agent, state="closed")
    answer = patch()
    assert answer.status_code == 409
    assert answer.json()["error"] == "Conflict"
    assert answer.json()["message"].startswith("This ticket is closed")
    ticket.refresh_from_db()
    assert (ticket.state, ticket.events.count()) == ("closed", 1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "This field is required"),
        ("", "This field is required"),
        ('{"State": "solved"}', "This field is required"),
        *(
            (json.dumps({"state": value}), "Must be solved")
            for value in (None, "", "Solved", "closed", "open", 1, True, ["solved"], {}, "solved ")
        ),
    ],
)
def test_takes_no_other_state(patch, ticket, body, message):
    answer = patch(body)
    assert answer.status_code == 400
    assert answer.json()["details"] == [{"field": "state", "message": message}]
    ticket.refresh_from_db()
    assert ticket.state == "open"


@pytest.mark.parametrize("body", ["{", "[]", '"solved"', '{"state": "solved", "state": "solved"}'])
def test_reads_json_strictly(patch, body):
    assert patch(body).status_code == 400


def test_takes_json_alone(api, ticket):
    body = '{"state": "solved"}'
    assert api.patch(f"{PATH}/{ticket.pk}", body, "text/plain").status_code == 415


@pytest.mark.parametrize(
    "make_id",
    [
        lambda: TicketFactory().pk,
        lambda: "01a20c5d-797b-7721-a7a7-b8996c551e97",
        lambda: "x",
        lambda: "%00",
    ],
    ids=["stranger's", "unknown", "short", "nul"],
)
def test_knows_no_such_ticket(patch, make_id):
    answer = patch(pk=make_id())
    assert answer.status_code == 404
    assert not Ticket.objects.filter(state="solved").exists()


@pytest.mark.parametrize("path", [PATH, f"{PATH}/{{}}"])
def test_lists_the_methods_of_each_address(api, ticket, path):
    answer = api.put(path.format(ticket.pk), "{}", "application/json")
    others = "POST" if path == PATH else "PATCH"
    assert answer.status_code == 405
    assert sorted(answer["Allow"].split(", ")) == sorted(["GET", "HEAD", others])


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's writers take turns")
@pytest.mark.parametrize(("theirs", "status"), [("closed", 409), ("solved", 200), ("waiting", 200)])
def test_comes_after_an_agent_who_holds_the_row(patch, ticket, agent, theirs, status):
    """The agent's act is not lost, and what is said to the customer is what became of it."""
    rows = Ticket.objects.filter(pk=ticket.pk)
    answer = run_meanwhile(patch, lambda: rows.change(agent, state=theirs), must_wait=True)
    assert answer.status_code == status
    ticket.refresh_from_db()
    assert ticket.state == ("closed" if theirs == "closed" else "solved")
    moves = list(ticket.events.values_list("before", "after"))
    assert moves == [("open", theirs)] + [(theirs, "solved")] * (theirs == "waiting")

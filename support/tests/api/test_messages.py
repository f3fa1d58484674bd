"""A case is a conversation: its owner reads it and adds to it with the same key."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory
from support.models import Message, Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket(api_key):
    return TicketFactory(user=api_key.user, email_status="sent", message="Charged twice.")


def path_of(ticket):
    return f"/v1/support/tickets/{getattr(ticket, 'pk', ticket)}/messages"


def add(api, ticket, message="It happened again.", **headers):
    body = {"message": message}
    return api.post(path_of(ticket), body, content_type="application/json", headers=headers)


def read(api, ticket, query=""):
    return api.get(path_of(ticket) + query).json()


def answer(ticket, text="We look into it.", **fields):
    fields = {"to": "ada@example.com", "email_status": "sent"} | fields
    return Message.objects.create(ticket=ticket, text=text, **fields)


def test_begins_with_the_tickets_own(api, ticket):
    assert read(api, ticket) == {
        "messages": [
            {
                "id": str(ticket.pk),
                "created_at": read(api, ticket)["messages"][0]["created_at"],
                "author": "customer",
                "via": "api",
                "text": "Charged twice.",
                "status": "sent",
                "sent_at": None,
            }
        ],
        "pagination": {"page": 1, "per_page": 25, "total": 1, "pages": 1},
    }


def test_shows_both_sides_oldest_first(api, ticket, agent):
    answer(ticket)
    add(api, ticket)
    ticket.add_note(agent, "A secret among us")
    page = read(api, ticket)
    assert [(row["author"], row["via"], row["text"]) for row in page["messages"]] == [
        ("customer", "api", "Charged twice."),
        ("support", "back-office", "We look into it."),
        ("customer", "api", "It happened again."),
    ]
    assert "secret" not in str(page)


def test_answers_with_the_row_that_it_stored(api, ticket, provider):
    response = add(api, ticket)
    assert response.status_code == 201
    assert response.json() == read(api, ticket)["messages"][1]
    assert response.json()["status"] == "sent"
    mail = provider.messages[0]
    assert len(provider.messages) == 1
    assert "It happened again." in str(mail)


@pytest.mark.parametrize(
    ("before", "after"),
    [("new", "new"), ("open", "open"), ("waiting", "open"), ("solved", "open")],
)
def test_wakes_the_ticket(api, ticket, agent, before, after):
    solved_at = timezone.now() if before == "solved" else None
    Ticket.objects.update(state=before, assignee=agent, solved_at=solved_at)
    add(api, ticket)
    ticket.refresh_from_db()
    assert (ticket.state, ticket.solved_at, ticket.assignee) == (after, None, agent)
    kinds = ["message"] + (["state"] if before != after else [])
    assert list(ticket.events.values_list("kind", flat=True)) == kinds
    assert set(ticket.events.values_list("actor", flat=True)) == {ticket.user.pk}


def test_takes_nothing_for_a_closed_ticket(api, ticket):
    Ticket.objects.update(state="closed", solved_at=timezone.now())
    response = add(api, ticket)
    assert response.status_code == 409
    assert response.json()["error"] == "Conflict"
    assert not Message.objects.exists()
    assert len(read(api, ticket)["messages"]) == 1


def test_changes_what_the_ticket_shows(api, ticket):
    before = api.get(f"/v1/support/tickets/{ticket.pk}")
    add(api, ticket)
    after = api.get(f"/v1/support/tickets/{ticket.pk}")
    assert after.json()["updated_at"] > before.json()["updated_at"]
    assert after["ETag"] != before["ETag"]


def test_is_stored_once_for_each_key(api, ticket, provider):
    key = {"Idempotency-Key": "m-1"}
    first, again = add(api, ticket, **key), add(api, ticket, **key)
    assert first.json() == again.json()
    assert ("Idempotent-Replayed" in first, again["Idempotent-Replayed"]) == (False, "true")
    assert add(api, ticket, "Something else", **key).status_code == 422
    other = TicketFactory(user=ticket.user)
    assert "Idempotent-Replayed" not in add(api, other, **key)
    assert len(provider.messages) == 2


def test_replays_on_a_ticket_that_was_closed_since(api, ticket):
    first = add(api, ticket, **{"Idempotency-Key": "m-1"})
    Ticket.objects.update(state="closed", solved_at=timezone.now())
    assert add(api, ticket, **{"Idempotency-Key": "m-1"}).json() == first.json()


def test_masks_secrets_and_flags_a_working_key(api, api_key, ticket):
    response = add(api, ticket, f"My key is {api_key.secret}")
    assert response["X-Redacted"] == "1"
    assert api_key.secret not in response.content.decode()
    assert api_key.secret not in Message.objects.get().text
    ticket.refresh_from_db()
    assert ticket.leaked_keys == [str(api_key.pk)]
    add(api, ticket, f"Again {api_key.secret}")
    ticket.refresh_from_db()
    assert ticket.leaked_keys == [str(api_key.pk)]


@pytest.mark.parametrize("body", ["{}", "[]", '{"message": 1}', '{"message": " "}', "null"])
def test_refuses_what_is_no_message(api, ticket, body):
    response = api.post(path_of(ticket), body, content_type="application/json")
    assert response.status_code == 400
    assert not Message.objects.exists()


def test_is_nobody_elses(api, client, ticket):
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {APIKeyFactory().secret}"
    assert client.get(path_of(ticket)).status_code == 404
    assert add(client, ticket).status_code == 404
    assert not Message.objects.exists()


@pytest.mark.parametrize("ticket_id", ["x", "0193a2c4-5d6e-7f80-9a1b-2c3d4e5f6071"])
def test_knows_no_other_ticket(api, ticket_id):
    assert api.get(path_of(ticket_id)).status_code == 404
    assert add(api, ticket_id).status_code == 404


def test_is_only_stored_without_a_backend(api, ticket):
    response = add(api, ticket)
    assert (response.json()["status"], response.json()["sent_at"]) == ("stored", None)


def test_walks_by_page_and_by_cursor(api, ticket):
    for number in range(6):
        add(api, ticket, f"m{number}")
    texts = ["Charged twice.", *(f"m{number}" for number in range(6))]
    for per_page in (1, 2, 3, 7):
        pages = [read(api, ticket, f"?per_page={per_page}&page={n}") for n in range(1, 9)]
        assert [row["text"] for page in pages for row in page["messages"]] == texts
        assert pages[0]["pagination"]["total"] == 7
        path, walked = f"{path_of(ticket)}?per_page={per_page}", []
        while path:
            page = api.get(path)
            walked += [row["text"] for row in page.json()["messages"]]
            path = page.get("Link", "").partition(">")[0].lstrip("<")
        assert walked == texts


def test_shows_what_came_after_the_last_one_seen(api, ticket):
    last = add(api, ticket).json()["id"]
    assert read(api, ticket, f"?after={last}")["messages"] == []
    # Stored by a host whose clock is behind.
    Message.objects.update(created_at=timezone.now() + timedelta(seconds=5))
    new = add(api, ticket, "And again").json()
    assert read(api, ticket, f"?after={last}")["messages"] == [new]
    assert read(api, ticket, f"?after={ticket.pk}")["pagination"] == {"per_page": 25, "total": 3}


def test_knows_no_message_of_another_ticket(api, ticket):
    other = answer(TicketFactory(user=UserFactory()))
    response = api.get(f"{path_of(ticket)}?after={other.pk}")
    assert response.status_code == 400
    assert response.json()["details"][0]["field"] == "after"


@pytest.mark.parametrize("count", [1, 30])
def test_costs_as_many_queries_whatever_was_said(api, ticket, count, django_assert_num_queries):
    for _ in range(count):
        answer(ticket)
    read(api, ticket)  # Notes that the key is in use.
    with django_assert_num_queries(4):
        read(api, ticket)


def test_says_what_became_of_an_answers_mail(api, ticket):
    answer(ticket, email_status="failed")
    assert read(api, ticket)["messages"][1]["status"] == "failed"


@pytest.mark.django_db(transaction=True)
def test_loses_and_doubles_nothing_under_ten_clients(service, process_env):
    """Equal keys make one message; readers who ask for what is new skip none."""
    plan = PlanFactory(slug="flood", requests_per_minute=10_000)
    key = APIKeyFactory(user=UserFactory(plan=plan))
    ticket = TicketFactory(user=key.user, email_status="sent")
    running = service(SUPPORT_EMAIL="")
    url, headers = running.url + path_of(ticket), {"Authorization": f"Bearer {key.secret}"}
    is_over = threading.Event()

    def write(writer):
        for number in range(6):
            for name in (f"{writer}-{number}", f"all-{number}"):
                sent = headers | {"Idempotency-Key": name}
                answer = requests.post(url, json={"message": name[:3]}, headers=sent, timeout=60)
                assert answer.status_code == 201

    def follow():
        seen, last = [], str(ticket.pk)
        while True:
            was_over = is_over.is_set()
            page = requests.get(f"{url}?after={last}", headers=headers, timeout=60).json()
            seen += [row["id"] for row in page["messages"]]
            if not page["messages"] and was_over:
                return seen
            last = seen[-1] if seen else last

    with ThreadPoolExecutor(11) as threads:
        reader = threads.submit(follow)
        for done in [threads.submit(write, writer) for writer in range(10)]:
            done.result()
        is_over.set()
        seen = reader.result()
    assert len(seen) == len(set(seen)) == 6 * 10 + 6
    assert set(seen) == {str(pk) for pk in Message.objects.values_list("pk", flat=True)}

"""`Idempotency-Key`: the same request twice is one ticket and one mail."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory
from support.api.idempotency import digest_content
from support.models import Ticket

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/support/tickets"
TICKET = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice."}
KNOWN_DIGEST = "dfe94f51259f4bcd754e76e88f04c2cb8b9a53dea4855edda7f33632c461dab4"


def post(api, key, **changes):
    return api.post(
        PATH, TICKET | changes, content_type="application/json", headers={"Idempotency-Key": key}
    )


def test_answers_the_first_ticket_again(api, provider):
    first, again = post(api, "order-1"), post(api, '"order-1"')
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first["Location"] == again["Location"]
    assert ("Idempotent-Replayed" in first, again["Idempotent-Replayed"]) == (False, "true")
    assert len(provider.messages) == 1


def test_takes_reordered_and_trimmed_json_as_the_same(api):
    post(api, "k")
    reordered = json.dumps(dict(reversed(TICKET.items())) | {"type": " billing ", "more": 1})
    again = api.post(PATH, reordered, "application/json", headers={"Idempotency-Key": "k"})
    assert again["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("changes", [{"type": "x"}, {"reply_address": "x"}, {"message": "x"}])
def test_refuses_another_content(api, changes):
    post(api, "k")
    response = post(api, "k", **changes)
    assert response.status_code == 422
    assert response.json()["error"] == "Unprocessable Entity"
    assert Ticket.objects.count() == 1


def test_is_each_accounts_own(api, client):
    post(api, "k")
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {APIKeyFactory().secret}"
    assert "Idempotent-Replayed" not in post(client, "k")
    assert Ticket.objects.count() == 2


def test_answers_each_account_its_own_first_ticket(api, client):
    first = post(api, "k")
    stranger = {"Authorization": f"Bearer {APIKeyFactory().secret}", "Idempotency-Key": "k"}
    client.post(PATH, TICKET, content_type="application/json", headers=stranger)
    assert Ticket.objects.count() == 2
    assert post(api, "k").json() == first.json()


def test_answers_the_ticket_of_this_key(api):
    first = post(api, "k")
    post(api, "another")
    assert post(api, "k").json() == first.json()


@pytest.mark.parametrize("key", ["a", "x" * 255, '"a\\"b"', "a b", 'a"b', '"' + "x" * 255 + '"'])
def test_takes(api, key):
    assert post(api, key).status_code == 201


@pytest.mark.parametrize(
    "key",
    [
        *("", " ", '""', "ä", "a\tb", "\x0ba", "a\x0b", "\xa0a"),
        *("a,b", '"a,b"', '"a","b"', '"a', '"a\\b"'),
    ],
)
def test_refuses(api, key):
    response = post(api, key)
    assert response.status_code == 400
    said = "Idempotency-Key must be one key of 1 to 255 printable ASCII characters without a comma"
    assert response.json()["message"] == said
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("key", ["x" * 256, '"' + "x" * 256 + '"'])
def test_refuses_one_that_is_too_long(api, key):
    response = post(api, key)
    assert response.status_code == 400
    assert response.json()["message"] == "Idempotency-Key must not be longer than 255 characters"
    assert not Ticket.objects.exists()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("XkeyX", "XkeyX"),
        ("\t key \t", "key"),
        ('"key"', "key"),
        ('" key "', " key "),
        ('"a\\"b"', 'a"b'),
        ('"a\\\\b"', "a\\b"),
        ("a\\b", "a\\b"),
    ],
)
def test_keeps_the_key_without_its_quotes(api, sent, kept):
    post(api, sent)
    assert Ticket.objects.get().idempotency_key == kept


def test_compares_by_the_digest_that_older_tickets_hold():
    """Else a retry that spans an update would be refused."""
    fields = {"type": "billing", "reply_address": "ä@example.com", "message": "é"}
    assert digest_content(fields) == KNOWN_DIGEST
    assert digest_content(dict(reversed(fields.items()))) == KNOWN_DIGEST


def test_stores_nothing_for_a_bad_body(api):
    assert post(api, "k", type=1).status_code == 400
    assert post(api, "k").status_code == 201


def test_costs_one_statement_more_at_most(api, django_assert_num_queries):
    post(api, "warm-up")
    with django_assert_num_queries(2):
        api.post(PATH, TICKET, content_type="application/json")
    with django_assert_num_queries(2):
        post(api, "k")
    with django_assert_num_queries(3):
        post(api, "k")


def test_is_exact_under_twenty_clients(service, smtp_server):
    """R4, short: everybody sends every key at once."""
    plan = PlanFactory(slug="unlimited", requests_per_minute=1_000_000)
    secret = APIKeyFactory(user=UserFactory(plan=plan)).secret
    running = service(**smtp_server.env)
    keys = [f"key-{number}" for number in range(10)]

    def send_all(client):
        bodies = []
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {secret}"
            for key in keys:
                answer = session.post(
                    running.url + PATH, json=TICKET, headers={"Idempotency-Key": key}, timeout=60
                )
                bodies.append((key, answer.status_code, answer.text))
        return bodies

    with ThreadPoolExecutor(20) as threads:
        answers = Counter(row for rows in threads.map(send_all, range(20)) for row in rows)
    assert len(answers) == len(keys)
    assert set(answers.values()) == {20}
    assert {status for _, status, _ in answers} == {201}
    assert Ticket.objects.count() == len(smtp_server.messages) == len(keys)


@pytest.mark.parametrize("lines", [("a", "b"), ('"a', 'b"'), ('"a"', '"b"')])
def test_refuses_two_header_lines(shared_service, lines):
    secret, body = APIKeyFactory().secret, json.dumps(TICKET)
    keys = "".join(f"Idempotency-Key: {line}\r\n" for line in lines)
    request = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\n{keys}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )
    assert b"400 Bad Request" in shared_service.send_raw(request.encode())

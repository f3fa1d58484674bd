"""R1: whatever is sent, the answer is JSON, documented, and never a 5xx."""

import json
import random
import re

import pytest
import requests

from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory
from ctxfy_support.tests.hostile import CORPUS, TICKET, generate_body, make_request, parse_answer

GENERATED = 1_500


def make_key():
    plan = PlanFactory(slug="unlimited", requests_per_minute=10_000_000)
    return APIKeyFactory(user=UserFactory(plan=plan)).secret


def check_answer(status, headers, body):
    """Raise AssertionError unless this is an answer of the contract's section 4."""
    assert status < 500
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert "location" not in headers or status == 201
    answer = json.loads(body)
    if status >= 400:
        assert answer["code"] == status
        assert set(answer) <= {"error", "message", "code", "details"}
        assert all(set(row) == {"field", "message"} for row in answer.get("details", []))


def documented_statuses(document, row):
    """What the OpenAPI document says of a row's address; None of one that it does not have."""
    path = row["path"].partition("?")[0]
    parent, _, last = path.rpartition("/")
    if re.fullmatch("/v1/support/tickets/[^/]+/messages", path):
        path = "/v1/support/tickets/{id}/messages"
    operations = document["paths"].get(path) or (last and document["paths"].get(f"{parent}/{{id}}"))
    if not operations:
        return None
    # A verb that an address does not have is a 405 of each that it has.
    operation = operations.get(row["method"].lower()) or next(iter(operations.values()))
    return {int(status) for status in operation["responses"]}


@pytest.mark.django_db(transaction=True)
def test_answers_the_whole_corpus_as_written(shared_service):
    running, key = shared_service, make_key()
    document, wrong = requests.get(f"{running.url}/openapi.json", timeout=30).json(), []
    for row in CORPUS:
        answer = parse_answer(running.send_raw(make_request(row, key)))
        try:
            assert answer[0] == row["status"]
            statuses = documented_statuses(document, row)
            assert answer[0] in (statuses or {400, 404})
            # A HEAD-like answer, or one of the server itself to what is no HTTP, has no body.
            check_answer(*answer)
        except (AssertionError, KeyError, ValueError) as exc:
            wrong.append(f"{row['name']}: {answer[0]} {answer[2][:120]!r} ({exc!r:.200})")
    assert not wrong, "\n".join(wrong)
    assert len(CORPUS) >= 200


@pytest.mark.django_db
def test_answers_generated_bodies(client):
    rng, headers = random.Random(1), {"Authorization": f"Bearer {make_key()}"}
    statuses = set()
    for _ in range(GENERATED):
        body = generate_body(rng)
        response = client.generic(
            "POST", "/v1/support/tickets", body, "application/json", headers=headers
        )
        check_answer(
            response.status_code,
            {name.lower(): value for name, value in response.items()},
            response.content,
        )
        statuses.add(response.status_code)
    assert statuses == {201, 400}


@pytest.mark.django_db(transaction=True)
def test_takes_a_chunked_body(shared_service):
    running, key = shared_service, make_key()
    head = (
        "POST /v1/support/tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    body = json.dumps({"type": "x", "reply_address": "x", "message": "x" * 5_000})
    chunks = [body[start : start + 999] for start in range(0, len(body), 999)]
    sent = "".join(f"{len(chunk):x}\r\n{chunk}\r\n" for chunk in [*chunks, ""])
    assert parse_answer(running.send_raw((head + sent).encode()))[0] == 201
    too_large = "".join(f"{65_536:x}\r\n{'x' * 65_536}\r\n" for _ in range(5)) + "0\r\n\r\n"
    assert parse_answer(running.send_raw((head + too_large).encode()))[0] == 413


@pytest.mark.django_db(transaction=True)
def test_refuses_a_body_cut_short(shared_service):
    running, key = shared_service, make_key()
    head = (
        "POST /v1/support/tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        "Content-Length: 500\r\n\r\n"
    )
    answer = running.send_raw((head + json.dumps(TICKET)).encode(), half_close=True)
    assert not answer.startswith(b"HTTP/1.1 201")


@pytest.mark.django_db(transaction=True)
def test_keeps_a_key_in_any_header_out_of_the_log(service):
    running, key = service(), make_key()
    row = {"method": "GET", "path": "/v1/x", "body": ""}
    for header in ("Content-Type", "Accept", "Cookie", "Idempotency-Key", "Host", "X-Request-Id"):
        value = f"a/b; x*={key}'a'%41"
        running.send_raw(make_request(row | {"headers": {header: value}}, key))
    running.stop()
    assert key not in running.output

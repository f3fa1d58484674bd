"""Requests a minute, by plan: exact whoever asks at once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from accounts.models import RequestCount
from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory

PATH = "/v1/api-keys"


def key_of_plan(limit):
    plan = PlanFactory(slug=f"plan-{limit}", requests_per_minute=limit)
    return APIKeyFactory(user=UserFactory(plan=plan))


def get(client, key):
    return client.get(PATH, headers={"Authorization": f"Bearer {key.secret}"})


@pytest.mark.django_db
def test_says_what_is_left(client):
    key = key_of_plan(3)
    before = int(time.time())
    answers = [get(client, key) for _ in range(4)]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer["X-RateLimit-Limit"] for answer in answers} == {"3"}
    assert 59 <= int(answers[0]["X-RateLimit-Reset"]) - before <= 62
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert refused.json()["code"] == 429


@pytest.mark.django_db
def test_counts_all_keys_of_an_account_together(client):
    key = key_of_plan(1)
    other = APIKeyFactory(user=key.user)
    assert [get(client, each).status_code for each in (key, other)] == [200, 429]


@pytest.mark.django_db
def test_starts_afresh_after_a_minute(client):
    key = key_of_plan(1)
    get(client, key)
    assert get(client, key).status_code == 429
    RequestCount.objects.update(resets_at=time.time() - 1)
    assert get(client, key).status_code == 200


@pytest.mark.django_db
def test_follows_the_plan_at_once(client):
    key = key_of_plan(1)
    get(client, key)
    key.user.plan.requests_per_minute = 5
    key.user.plan.save()
    assert get(client, key).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/support/tickets/x", 404),
        ("PUT", "/v1/support/tickets", 405),
        ("POST", "/v1/support/tickets", 415),
    ],
)
def test_is_told_with_every_authenticated_answer(client, method, path, status):
    headers = {"Authorization": f"Bearer {key_of_plan(9).secret}"}
    answer = client.generic(method, path, "x", headers=headers)
    assert (answer.status_code, answer["X-RateLimit-Limit"]) == (status, "9")


@pytest.mark.django_db(transaction=True)
def test_lets_exactly_the_limit_through_two_processes(service):
    key = key_of_plan(20)
    services = service(), service()
    headers = {"Authorization": f"Bearer {key.secret}"}

    def ask(number):
        url = services[number % 2].url
        return requests.get(f"{url}{PATH}", headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(64) as threads:
        assert Counter(threads.map(ask, range(128))) == {200: 20, 429: 108}

"""Requests a minute, by plan: exact whoever asks at once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import requests
from django.contrib.auth.models import AnonymousUser

from accounts.models import RequestCount
from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory
from accounts.throttling import PlanThrottle

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
@pytest.mark.parametrize("left", [0.25, 30.25, 59.75])
def test_says_to_the_second_when_to_come_back(client, left):
    key, before = key_of_plan(0), time.time()
    resets_at = before + left + 5
    RequestCount.objects.create(user=key.user, resets_at=resets_at, requests=0)
    answer = get(client, key)
    after = time.time()
    assert answer["X-RateLimit-Reset"] == str(int(resets_at) + 1)
    # It is the database's clock that decides, which may count in milliseconds.
    assert int(resets_at - after - 0.01) + 1 <= int(answer["Retry-After"])
    assert int(answer["Retry-After"]) <= int(resets_at - before + 0.01) + 1


@pytest.mark.django_db
def test_begins_a_minute_with_its_first_request(client):
    key, before = key_of_plan(1), time.time()
    get(client, key)
    first = RequestCount.objects.get()
    assert before + 59.9 <= first.resets_at <= time.time() + 60.1
    get(client, key)
    assert RequestCount.objects.get().resets_at == first.resets_at
    assert RequestCount.objects.get().requests == 2


def test_counts_nobody_without_an_account():
    """Every address asks for a key before it counts; one that will not must not break."""
    request = SimpleNamespace(user=AnonymousUser(), auth=None)
    assert PlanThrottle().allow_request(request, None) is True


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

"""A flood of useless keys: stopped by address, felt by nobody else."""

import threading
import time
from ipaddress import ip_network

import pytest
import requests
from django.db import connection

from accounts import api_keys
from accounts.models import APIKey, RequestCount
from accounts.tests.factories import APIKeyFactory, UserFactory
from accounts.wrong_keys import LIMIT, USELESS_SECONDS

pytestmark = pytest.mark.django_db

PATH = "/v1/api-keys"


def get(client, secret, address="192.0.2.1", **headers):
    headers |= {"Authorization": f"Bearer {secret}"}
    return client.get(PATH, REMOTE_ADDR=address, headers=headers, secure=True)


@pytest.fixture
def flood(client):
    for _ in range(LIMIT):
        assert get(client, api_keys.generate()).status_code == 401


def test_is_refused_in_words_of_its_own(client, flood):
    response = get(client, api_keys.generate())
    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 61
    body = response.json()
    assert (body["error"], body["code"]) == ("Too Many Requests", 429)
    assert body["message"].startswith("This API key does not work, and too many that do not")
    assert "X-RateLimit-Limit" not in response


@pytest.mark.parametrize("key", ["x", "ctxfy_" + "0" * 38])
def test_is_stopped_without_asking_the_database(client, flood, django_assert_num_queries, key):
    with django_assert_num_queries(0):
        assert get(client, key).status_code == 429


def test_of_one_key_asks_the_database_once_a_second(client, flood, django_assert_num_queries):
    key = api_keys.generate()
    with django_assert_num_queries(1):
        for _ in range(5):
            assert get(client, key).status_code == 429


def test_of_ever_new_keys_writes_nothing(client, flood, django_assert_num_queries):
    """A look-up of a key is all that it costs, and no writer waits for it."""
    with django_assert_num_queries(1) as queries:
        assert get(client, api_keys.generate()).status_code == 429
    if connection.vendor == "sqlite":
        assert queries[0]["sql"].startswith("SELECT")
    assert not RequestCount.objects.exists()


def test_stops_nobody_at_another_address(client, flood):
    assert get(client, APIKeyFactory().secret, "192.0.2.2").status_code == 200


def test_does_not_stop_a_key_that_nobody_has_seen_before(client, flood):
    assert get(client, APIKeyFactory().secret).status_code == 200


def test_does_not_stop_a_key_that_works_again(client, flood, monkeypatch):
    key = APIKeyFactory(user=UserFactory(is_active=False))
    assert get(client, key.secret).status_code == 429
    key.user.is_active = True
    key.user.save()
    monkeypatch.setattr("accounts.wrong_keys.time.monotonic", later(USELESS_SECONDS))
    assert get(client, key.secret).status_code == 200


def later(seconds):
    now = time.monotonic() + seconds
    return lambda: now


def test_is_not_fooled_by_a_made_up_forwarded_address(client, flood):
    answer = get(client, api_keys.generate(), **{"X-Forwarded-For": "198.51.100.7"})
    assert answer.status_code == 429


def test_counts_the_address_that_our_proxy_names(client, settings):
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.0/24")]
    forged = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    for _ in range(LIMIT):
        get(client, api_keys.generate(), **forged)
    other_forgery = {"X-Forwarded-For": "203.0.113.10, 198.51.100.7"}
    assert get(client, api_keys.generate(), **other_forgery).status_code == 429
    elsewhere = {"X-Forwarded-For": "198.51.100.8"}
    assert get(client, api_keys.generate(), **elsewhere).status_code == 401


def test_stops_a_key_that_worked_until_it_was_revoked(client):
    key = APIKeyFactory()
    get(client, key.secret)
    key.revoke()
    for _ in range(LIMIT):
        assert get(client, key.secret).status_code == 401
    assert get(client, key.secret).status_code == 429


@pytest.mark.parametrize(
    "addresses",
    [
        [f"198.51.100.7:{port}" for port in range(5_000, 5_000 + LIMIT + 1)],
        [f"2001:db8::{last:x}" for last in range(LIMIT + 1)],
        [f"[2001:db8::{last:x}]:443" for last in range(LIMIT + 1)],
    ],
    ids=["ports", "one network", "one network, with ports"],
)
def test_holds_a_client_to_its_network(client, settings, addresses):
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.0/24")]
    answers = [
        get(client, api_keys.generate(), **{"X-Forwarded-For": address}).status_code
        for address in addresses
    ]
    assert answers == [401] * LIMIT + [429]


@pytest.mark.parametrize("garbled", ["", "\xff", " , ", "unknown", "_hidden", "198.51.100.7, \xff"])
def test_holds_all_whom_the_proxy_does_not_name_to_one_limit(client, settings, garbled):
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.0/24")]
    for n in range(LIMIT):
        get(client, api_keys.generate(), **{"X-Forwarded-For": f"_{n}"})
    assert get(client, api_keys.generate(), **{"X-Forwarded-For": garbled}).status_code == 429
    # The proxy itself, and clients that it names, are somebody else.
    assert get(client, api_keys.generate()).status_code == 401
    named = {"X-Forwarded-For": "198.51.100.7"}
    assert get(client, api_keys.generate(), **named).status_code == 401


FLOOD_HZ, NEW_KEYS = 50, 40


@pytest.mark.django_db(transaction=True)
def test_refuses_no_new_key_in_any_process(service):
    """A forgotten program goes on with its revoked key while a new one is issued and deployed."""
    user = UserFactory(plan__slug="unlimited", plan__requests_per_minute=10**6)
    revoked = APIKeyFactory(user=user)
    revoked.revoke()
    services = service(), service()
    ended = threading.Event()
    refusals = [[], []]

    def ask(number, secret):
        url = f"{services[number].url}{PATH}"
        return requests.get(url, headers={"Authorization": f"Bearer {secret}"}, timeout=30)

    def flood(number):
        while not ended.wait(1 / FLOOD_HZ):
            refusals[number].append(ask(number, revoked.secret).status_code)

    threads = [threading.Thread(target=flood, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        while not all(429 in seen for seen in refusals):
            time.sleep(0.01)
        answers = []
        for _ in range(NEW_KEYS):
            _, secret = APIKey.objects.issue(user)
            answers += [ask(number, secret).status_code for number in (0, 1)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert answers == [200] * 2 * NEW_KEYS
    assert set(refusals[0] + refusals[1]) == {401, 429}

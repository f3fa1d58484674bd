"""A flood of useless keys: stopped by address, felt by nobody else."""

from ipaddress import ip_network

import pytest

from accounts import api_keys
from accounts.tests.factories import APIKeyFactory
from accounts.wrong_keys import LIMIT

pytestmark = pytest.mark.django_db

PATH = "/v1/api-keys"


def get(client, secret, address="192.0.2.1", **headers):
    headers |= {"Authorization": f"Bearer {secret}"}
    return client.get(PATH, REMOTE_ADDR=address, headers=headers, secure=True)


@pytest.fixture
def flood(client):
    for _ in range(LIMIT):
        assert get(client, api_keys.generate()).status_code == 401


def test_is_stopped_without_asking_the_database(client, flood, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = get(client, api_keys.generate())
    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 61


def test_stops_nobody_at_another_address(client, flood):
    assert get(client, APIKeyFactory().secret, "192.0.2.2").status_code == 200


def test_does_not_stop_a_key_that_worked_lately(client):
    key = APIKeyFactory()
    get(client, key.secret)
    for _ in range(LIMIT + 1):
        get(client, api_keys.generate())
    assert get(client, key.secret).status_code == 200


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

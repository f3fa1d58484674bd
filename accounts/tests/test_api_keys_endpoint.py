"""/v1/api-keys, as the contract's section 3 has it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from accounts.admission import admit
from accounts.models import MOST_WORKING_KEYS, APIKey
from accounts.tests.factories import APIKeyFactory, UserFactory
from ctxfy_support.moments import parse_moment

pytestmark = pytest.mark.django_db

PATH = "/v1/api-keys"
SHOWN = ["id", "key_prefix", "name", "expiration_date", "created_at", "revoked_at"]
LISTED = [*SHOWN, "last_used_at", "leaked_at"]


def create(api, **fields):
    return api.post(PATH, fields, content_type="application/json")


def test_issues_a_key_that_works(api, api_key, client):
    response = create(api, name="CI", expiration_date="2099-01-01T00:00:00Z")
    body = response.json()
    assert response.status_code == 201
    assert list(body) == [*SHOWN, "api_key"]
    assert body["expiration_date"] == "2099-01-01T00:00:00.000000Z"
    assert body["api_key"].startswith(body["key_prefix"])
    found = admit(body["api_key"])
    assert (found.user, found.name) == (api_key.user, "CI")


@pytest.mark.parametrize("body", ["", "{}", '{"name": null, "expiration_date": null}'])
def test_needs_neither_name_nor_expiry(api, body):
    response = api.generic("POST", PATH, body, "application/json")
    assert response.status_code == 201
    assert (response.json()["name"], response.json()["expiration_date"]) == ("", None)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 1},
        {"name": "x" * 101},
        {"name": "a\x00"},
        {"expiration_date": "soon"},
        {"expiration_date": 4_070_908_800},
        {"expiration_date": "2020-01-01T00:00:00Z"},
        {"expiration_date": "2099-13-01T00:00:00Z"},
        {"expiration_date": "0001-01-01T00:00:00+23:59"},
        {"expiration_date": "9999-12-31T23:59:59-23:59"},
        {"expiration_date": "9999-12-31T23:59:59-14:00"},
        {"expiration_date": "2099-01-01"},
        {"expiration_date": "2099-01-01T00:00"},
        {"expiration_date": "20990101T000000Z"},
        {"expiration_date": ["2099-01-01T00:00:00Z"]},
    ],
)
def test_refuses(api, fields):
    response = create(api, **fields)
    assert response.status_code == 400
    assert [row["field"] for row in response.json()["details"]] == list(fields)
    assert APIKey.objects.count() == 1


def test_lists_the_callers_keys_without_secrets(api, api_key, django_assert_num_queries):
    APIKeyFactory.create_batch(5)
    APIKeyFactory.create_batch(5, user=api_key.user)
    api.get(PATH)
    with django_assert_num_queries(3):
        body = api.get(PATH).json()
    assert list(body) == ["api_keys", "pagination"]
    assert body["pagination"] == {"page": 1, "per_page": 25, "total": 6, "pages": 1}
    assert all(list(row) == LISTED for row in body["api_keys"])
    assert body["api_keys"][-1]["id"] == str(api_key.pk)


def test_revokes_for_good(api, api_key):
    key = APIKeyFactory(user=api_key.user)
    for _ in range(2):
        assert api.delete(f"{PATH}/{key.pk}").status_code == 204
    assert admit(key.secret) is None
    assert api.get(PATH).json()["api_keys"][0]["revoked_at"] is not None


def test_may_revoke_itself(api, api_key):
    assert api.delete(f"{PATH}/{api_key.pk}").status_code == 204
    assert api.get(PATH).status_code == 401


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("key_id", ["x", "01a20c5d-797b-7721-a7a7-b8996c551e97", "%00", "{}"])
def test_knows_no_such_key(api, method, key_id):
    assert getattr(api, method)(f"{PATH}/{key_id}").status_code == 404


def test_neither_shows_nor_revokes_a_strangers_key(api):
    key = APIKeyFactory()
    unknown = api.get(f"{PATH}/x").json()
    for answer in (api.get(f"{PATH}/{key.pk}"), api.delete(f"{PATH}/{key.pk}")):
        assert (answer.status_code, answer.json()) == (404, unknown)
    assert admit(key.secret)


def test_shows_one_key_as_the_list_does(api, api_key, django_assert_num_queries):
    key = APIKeyFactory(user=api_key.user, name="CI")
    row = api.get(PATH).json()["api_keys"][0]
    with django_assert_num_queries(2):
        answer = api.get(f"{PATH}/{key.pk}")
    assert (answer.status_code, answer.json()) == (200, row)
    assert row["id"] == str(key.pk)


def test_shows_when_a_key_was_last_used(api, api_key):
    other = APIKeyFactory(user=api_key.user)
    before = timezone.now()
    api.get(PATH)
    rows = {row["id"]: row["last_used_at"] for row in api.get(PATH).json()["api_keys"]}
    assert rows[str(other.pk)] is None
    assert before <= parse_moment(rows[str(api_key.pk)]) <= timezone.now()


@pytest.mark.parametrize("asked", [None, "2098-12-31T23:59:59Z", "2099-01-01T00:00:00Z"])
def test_issues_no_key_that_outlives_the_callers(api, api_key, asked):
    end(api_key, "2099-01-01T00:00:00Z")
    body = create(api, expiration_date=asked).json()
    expected = parse_moment(asked or "2099-01-01T00:00:00Z")
    assert parse_moment(body["expiration_date"]) == expected
    assert APIKey.objects.get(pk=body["id"]).expiration_date == expected


@pytest.mark.parametrize("asked", ["2099-01-01T00:00:00.000001Z", "2099-01-01T00:00:00-01:00"])
def test_refuses_a_key_that_would_outlive_the_callers(api, api_key, asked):
    end(api_key, "2099-01-01T00:00:00Z")
    answer = create(api, expiration_date=asked, name=1)
    assert answer.status_code == 400
    assert answer.json()["details"][1] == {
        "field": "expiration_date",
        "message": "Must not be after 2099-01-01T00:00:00.000000Z, when the key that you sent "
        "expires",
    }
    assert APIKey.objects.count() == 1


def end(key, moment):
    key.expiration_date = parse_moment(moment)
    key.save()


def fill(user, spare):
    """Leave the account room for so many working keys; what has ended takes none."""
    working = APIKey.objects.filter(user=user).count()
    APIKeyFactory.create_batch(MOST_WORKING_KEYS - spare - working, user=user)
    APIKeyFactory(user=user, revoked_at=timezone.now())
    APIKeyFactory(user=user, expiration_date=timezone.now() - timedelta(seconds=1))


def test_issues_a_hundred_working_keys_and_no_more(api, api_key):
    assert MOST_WORKING_KEYS == 100
    fill(api_key.user, 1)
    APIKeyFactory.create_batch(3)  # strangers'
    last = create(api)
    assert last.status_code == 201
    answer = create(api)
    assert (answer.status_code, answer.json()["code"]) == (409, 409)
    assert "100 working keys" in answer.json()["message"]
    api.delete(f"{PATH}/{last.json()['id']}")
    assert create(api).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_fills_the_last_places_exactly(service):
    """Two processes and sixteen clients, of whom five find room."""
    user = UserFactory(plan__slug="unlimited", plan__requests_per_minute=10**6)
    headers = {"Authorization": f"Bearer {APIKeyFactory(user=user).secret}"}
    fill(user, 5)
    services = service(), service()

    def ask(number):
        url = f"{services[number % 2].url}{PATH}"
        return requests.post(url, json={}, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(16) as threads:
        assert Counter(threads.map(ask, range(32))) == {201: 5, 409: 27}
    assert APIKey.objects.filter(user=user).not_ended().count() == MOST_WORKING_KEYS


@pytest.mark.parametrize("value", ["5f0c6f5e", ""])
def test_takes_no_idempotency_key(api, value):
    answer = api.post(PATH, {}, content_type="application/json", headers={"Idempotency-Key": value})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Idempotency-Key is not taken here: a key is shown")
    assert APIKey.objects.count() == 1


@pytest.mark.parametrize("spaces", [" ", " \t\n" * 40])
def test_measures_a_name_after_trimming(api, spaces):
    answer = create(api, name=f"{spaces}{'x' * 100}{spaces}")
    assert (answer.status_code, answer.json()["name"]) == (201, "x" * 100)
    assert create(api, name=f"{spaces}{'x' * 101}{spaces}").status_code == 400


def test_notes_a_keys_use_once_a_minute(api, api_key):
    def last_used():
        api.get(PATH)
        return APIKey.objects.get(pk=api_key.pk).last_used_at

    first = last_used()
    assert timezone.now() - first < timedelta(minutes=1)
    assert last_used() == first
    APIKey.objects.update(last_used_at=first - timedelta(minutes=2))
    assert last_used() > first

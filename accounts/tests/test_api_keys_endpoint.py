"""/v1/api-keys, as the contract's section 3 has it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.admission import admit
from accounts.models import APIKey
from accounts.tests.factories import APIKeyFactory

pytestmark = pytest.mark.django_db

PATH = "/v1/api-keys"
SHOWN = ["id", "key_prefix", "name", "expiration_date", "created_at", "revoked_at"]
LISTED = [*SHOWN, "leaked_at"]


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


@pytest.mark.parametrize("key_id", ["x", "01a20c5d-797b-7721-a7a7-b8996c551e97", "%00", "{}"])
def test_knows_no_such_key(api, key_id):
    assert api.delete(f"{PATH}/{key_id}").status_code == 404


def test_does_not_revoke_a_strangers_key(api):
    key = APIKeyFactory()
    assert api.delete(f"{PATH}/{key.pk}").status_code == 404
    assert admit(key.secret)


def test_notes_a_keys_use_once_a_minute(api, api_key):
    def last_used():
        api.get(PATH)
        return APIKey.objects.get(pk=api_key.pk).last_used_at

    first = last_used()
    assert timezone.now() - first < timedelta(minutes=1)
    assert last_used() == first
    APIKey.objects.update(last_used_at=first - timedelta(minutes=2))
    assert last_used() > first

"""/v1/account: whose key it is, as the contract's section 3 has it."""

import pytest

from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory

pytestmark = pytest.mark.django_db

PATH = "/v1/account"


def test_says_who_the_key_is(client, django_assert_num_queries):
    plan = PlanFactory(slug="gold", requests_per_minute=7)
    user = UserFactory(username="ada", plan=plan, token_balance=-5)
    key = APIKeyFactory(user=user, name="CI", expiration_date="2099-01-01T00:00:00Z")
    headers = {"Authorization": f"Bearer {key.secret}"}
    client.get(PATH, headers=headers)
    with django_assert_num_queries(1):
        answer = client.get(PATH, headers=headers)
    assert answer.status_code == 200
    assert answer["X-RateLimit-Remaining"] == "5"
    assert answer.json() == {
        "user_id": str(user.pk),
        "username": "ada",
        "subscription_plan": "gold",
        "token_balance": -5,
        "requests_per_minute": 7,
        "api_key": {
            "id": str(key.pk),
            "key_prefix": key.key_prefix,
            "name": "CI",
            "expiration_date": "2099-01-01T00:00:00.000000Z",
        },
    }


def test_says_that_a_key_never_ends(client):
    headers = {"Authorization": f"Bearer {APIKeyFactory().secret}"}
    assert client.get(PATH, headers=headers).json()["api_key"]["expiration_date"] is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", PATH, 401), ("head", PATH, 401), ("post", PATH, 401), ("get", f"{PATH}/", 404)],
)
def test_tells_nobody_else(client, method, path, status):
    assert getattr(client, method)(path).status_code == status


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_is_read_alone(client, method):
    headers = {"Authorization": f"Bearer {APIKeyFactory().secret}"}
    answer = getattr(client, method)(PATH, headers=headers)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")

"""create_api_key, set_plan and set_account, as a billing system's script calls them."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.admission import admit
from accounts.models import MOST_WORKING_KEYS, APIKey, Plan, User
from accounts.tests.factories import APIKeyFactory, UserFactory

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_prints_the_new_key_alone():
    user = UserFactory(username="ada")
    secret = run("create_api_key", "ada", "--name", "CI", "--expires", "2099-01-01T00:00:00Z")
    key = admit(secret.removesuffix("\n"))
    assert (key.user, key.name) == (user, "CI")
    assert key.expiration_date.isoformat() == "2099-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("expires", "stored"),
    [
        ("2099-01-01", "2099-01-01T00:00:00+00:00"),
        ("2099-01-01 12:30", "2099-01-01T12:30:00+00:00"),
        ("2099-01-01T00:00:00.5+05:30", "2098-12-31T18:30:00.500000+00:00"),
    ],
)
def test_takes_any_iso_8601_time(expires, stored):
    UserFactory(username="ada")
    run("create_api_key", "ada", "--expires", expires)
    assert APIKey.objects.get().expiration_date.isoformat() == stored


def test_refuses_a_time_that_utc_cannot_express(client):
    """PostgreSQL would store it, and no list of the account's keys could be read any more."""
    UserFactory(username="ada")
    secret = run("create_api_key", "ada").strip()
    with pytest.raises(CommandError, match="outside the years 1 to 9999"):
        run("create_api_key", "ada", "--expires", "9999-12-31T23:59:59-14:00")
    answer = client.get("/v1/api-keys", headers={"Authorization": f"Bearer {secret}"})
    assert len(answer.json()["api_keys"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nobody",),
        ("ada", "--expires", "soon"),
        ("ada", "--expires", "2020-01-01T00:00:00Z"),
        ("ada", "--expires", "2099-13-01T00:00:00Z"),
        ("ada", "--name", "x" * 101),
    ],
)
def test_issues_no_key_for_bad_arguments(arguments):
    UserFactory(username="ada")
    with pytest.raises(CommandError):
        run("create_api_key", *arguments)
    assert not APIKey.objects.exists()


def test_issues_no_key_too_many():
    user = UserFactory(username="ada")
    APIKeyFactory.create_batch(MOST_WORKING_KEYS, user=user)
    with pytest.raises(CommandError, match="100 working keys, the most there may be"):
        run("create_api_key", "ada")
    assert APIKey.objects.count() == MOST_WORKING_KEYS


def test_has_three_plans_from_the_start():
    assert dict(Plan.objects.values_list("slug", "requests_per_minute")) == {
        "free": 10,
        "pro": 100,
        "enterprise": 100,
    }


def test_creates_a_plan_and_changes_only_what_is_given():
    run("set_plan", "team", "--name", "Team", "--requests-per-minute", "50")
    run("set_plan", "team", "--requests-per-minute", "60")
    plan = Plan.objects.get(slug="team")
    assert (plan.name, plan.requests_per_minute) == ("Team", 60)


@pytest.mark.parametrize(
    "arguments", [("no spaces",), ("x", "--requests-per-minute", "-1"), ("x", "--name", "y" * 101)]
)
def test_refuses_a_plan_that_cannot_be(arguments):
    with pytest.raises(CommandError):
        run("set_plan", *arguments)
    assert Plan.objects.count() == 3


def test_creates_an_account_and_changes_only_what_is_given():
    run("set_account", "ada", "--email", "ada@example.com", "--plan", "pro")
    run("set_account", "ada", "--token-balance", "-5")
    user = User.objects.get(username="ada")
    assert (user.email, user.plan_id, user.token_balance) == ("ada@example.com", "pro", -5)
    assert not user.has_usable_password()


@pytest.mark.parametrize(
    "arguments",
    [
        ("ada", "--plan", "gold"),
        ("ada", "--email", "ada@@example"),
        ("a b",),
        ("ada", "--token-balance", str(2**63)),
    ],
)
def test_refuses_an_account_that_cannot_be(arguments):
    with pytest.raises(CommandError):
        run("set_account", *arguments)
    assert not User.objects.exists()

"""Accounts, plans and keys in the back-office."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from accounts.admission import admit
from accounts.models import MOST_WORKING_KEYS, APIKey, User
from accounts.tests.factories import APIKeyFactory, UserFactory
from ctxfy_support.tests.dump import dump_tables

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", ["user", "plan", "apikey"])
def test_lists_with_a_constant_number_of_queries(
    admin_client, django_assert_max_num_queries, model
):
    APIKeyFactory.create_batch(20)
    with django_assert_max_num_queries(12):
        response = admin_client.get(reverse(f"admin:accounts_{model}_changelist"))
    assert response.status_code == 200


def issue(admin_client, **data):
    return admin_client.post(
        reverse("admin:accounts_apikey_add"),
        {"user": UserFactory().pk, "name": "CI", "expiration_date_0": "", "expiration_date_1": ""}
        | data,
        follow=True,
    )


def find_secret(page):
    (secret,) = set(re.findall(r"ctxfy_[0-9A-Za-z]{38}", page.content.decode()))
    return secret


def test_issues_a_key_and_shows_it_once(admin_client):
    page = issue(admin_client)
    secret = find_secret(page)
    assert "no-store" in page["Cache-Control"]
    assert admit(secret).name == "CI"
    again = admin_client.get(reverse("admin:accounts_apikey_changelist")).content.decode()
    assert secret not in again


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother", "_popup"])
def test_leaves_the_secret_in_no_cookie_and_no_table(admin_client, button):
    page = issue(admin_client, **{button: "1"})
    secret = find_secret(page)
    assert page.redirect_chain == []
    assert secret not in str(admin_client.cookies)
    tables = dump_tables()
    assert APIKey.objects.get().key_prefix in tables
    assert secret not in tables
    sessions = [str(session.get_decoded()) for session in Session.objects.all()]
    assert secret not in "".join([*sessions, *map(str, page.headers.values())])


def test_shows_when_a_key_was_last_used(admin_client):
    key = APIKeyFactory(last_used_at=datetime(2026, 3, 4, 5, 6, tzinfo=UTC))
    pages = ("changelist", []), ("change", [key.pk])
    for name, args in pages:
        page = admin_client.get(reverse(f"admin:accounts_apikey_{name}", args=args))
        assert "March 4, 2026, 5:06 a.m." in page.content.decode()


def test_issues_no_key_too_many(admin_client):
    user = UserFactory()
    APIKeyFactory.create_batch(MOST_WORKING_KEYS, user=user)
    page = issue(admin_client, user=user.pk).content.decode()
    assert "100 working keys, the most there may be" in page
    assert APIKey.objects.count() == MOST_WORKING_KEYS
    assert issue(admin_client).status_code == 200
    assert APIKey.objects.count() == MOST_WORKING_KEYS + 1


def test_revokes_keys_from_the_list(admin_client):
    key = APIKeyFactory()
    admin_client.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [str(key.pk)]},
    )
    assert admit(key.secret) is None


def test_does_not_edit_or_delete_a_key(admin_client):
    key = APIKeyFactory(name="CI")
    page = reverse("admin:accounts_apikey_change", args=[key.pk])
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"name": "other", "user": key.user_id}).status_code == 403
    delete = reverse("admin:accounts_apikey_delete", args=[key.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert APIKey.objects.get().name == "CI"


def test_creates_an_account_with_its_plan(admin_client):
    admin_client.post(
        reverse("admin:accounts_user_add"),
        {
            "username": "grace",
            "usable_password": "false",
            "email": "grace@example.com",
            "plan": "enterprise",
            "token_balance": "7",
        },
    )
    user = User.objects.get(username="grace")
    assert (user.plan_id, user.token_balance) == ("enterprise", 7)

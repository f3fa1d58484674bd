"""Who gets in: a working key, and nobody else, with one answer for everybody else."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import api_keys
from accounts.tests.factories import APIKeyFactory, UserFactory

pytestmark = pytest.mark.django_db

TICKET = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice."}
UNAUTHORIZED = {
    "error": "Unauthorized",
    "message": "Authentication required. Please provide a valid API token",
    "code": 401,
}


def post(client, authorization=None):
    headers = {} if authorization is None else {"Authorization": authorization}
    return client.post(
        "/v1/support/tickets", TICKET, content_type="application/json", headers=headers
    )


def test_lets_a_working_key_in(client):
    assert post(client, f"Bearer {APIKeyFactory().secret}").status_code == 201


def test_takes_the_scheme_in_any_case(client):
    assert post(client, f"bearer  {APIKeyFactory().secret}").status_code == 201


def test_lets_a_key_in_until_it_expires(client):
    key = APIKeyFactory(expiration_date=timezone.now() + timedelta(minutes=1))
    assert post(client, f"Bearer {key.secret}").status_code == 201


def unknown():
    return api_keys.generate()


def revoked():
    key = APIKeyFactory()
    key.revoke()
    return key.secret


def expired():
    return APIKeyFactory(expiration_date=timezone.now() - timedelta(seconds=1)).secret


def inactive():
    return APIKeyFactory(user=UserFactory(is_active=False)).secret


def mistyped():
    secret = APIKeyFactory().secret
    return secret[:-7] + ("A" if secret[-7] != "A" else "B") + secret[-6:]


@pytest.mark.parametrize("make_secret", [unknown, revoked, expired, inactive, mistyped])
def test_answers_every_useless_key_alike(client, make_secret):
    response = post(client, f"Bearer {make_secret()}")
    assert response.status_code == 401
    assert response.json() == UNAUTHORIZED
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("authorization", [None, "", " "])
def test_asks_for_a_key_where_there_is_none(client, authorization):
    response = post(client, authorization)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("authorization", "wrong"),
    [
        ("Bearer", "The key is missing"),
        ("Bearer ", "The key is missing"),
        ("ctxfy_0", "The scheme is missing"),
        ("ctxfy_0 x", "The scheme is missing"),
        ("Basic YTpi", "The scheme must be Bearer"),
        ("Token x", "The scheme must be Bearer"),
        ("Bearer,x", "The scheme must be Bearer"),
        ('"\\', "The scheme must be Bearer"),
        ("Bearer Bearer x", "Exactly one key must follow the scheme"),
        ("Bearer x,Bearer y", "Exactly one key must follow the scheme"),
        ("Bearer x, y", "Exactly one key must follow the scheme"),
    ],
)
def test_says_what_is_wrong_with_the_header(
    client, django_assert_num_queries, authorization, wrong
):
    with django_assert_num_queries(0):
        response = post(client, authorization)
    send = "send Authorization: Bearer <api_key>"
    expected = f'Bearer error="invalid_request", error_description="{wrong}: {send}"'
    assert response["WWW-Authenticate"] == expected
    assert response.json() == UNAUTHORIZED


@pytest.mark.parametrize(
    "token", ["", " ", "x", "ctxfy_", "ctxfy_" + "é" * 38, "x" * 10_000, "\udce9", "a b"]
)
def test_refuses_what_is_no_key_without_asking_the_database(
    client, django_assert_num_queries, token
):
    with django_assert_num_queries(0):
        response = post(
            client, f"Bearer {token}".encode("utf-8", "surrogateescape").decode("latin-1")
        )
    assert response.status_code == 401


def test_stops_a_revoked_key_on_the_next_request(client):
    key = APIKeyFactory()
    assert post(client, f"Bearer {key.secret}").status_code == 201
    key.revoke()
    assert post(client, f"Bearer {key.secret}").status_code == 401


def test_finds_the_account_in_one_query(client, django_assert_num_queries):
    secret = APIKeyFactory().secret
    # the key with its account and rate limit, the ticket; once a minute the key's last use
    with django_assert_num_queries(3):
        post(client, f"Bearer {secret}")
    with django_assert_num_queries(2):
        post(client, f"Bearer {secret}")

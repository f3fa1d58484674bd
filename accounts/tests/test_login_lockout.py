"""Guessing passwords at the back-office's door."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.api_keys import generate
from accounts.models import User
from accounts.tests.factories import APIKeyFactory

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
OFFICE = "203.0.113.7"


@pytest.fixture(autouse=True)
def people(django_user_model, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for name in ("bea", "cem"):
        django_user_model.objects.create_user(name, password=PASSWORD, is_staff=True)


def log_in(client, name, password, address=OFFICE, **headers):
    data = {"username": name, "password": password}
    url = reverse("admin:login")
    return client.post(url, data, REMOTE_ADDR=address, HTTP_X_FORWARDED_PROTO="https", **headers)


@pytest.fixture
def guessed(client, settings):
    settings.DEBUG = True  # Plain HTTP from elsewhere than this machine.
    return [log_in(client, "bea", "wrong").status_code for _ in range(5)]


def test_locks_after_five_wrong_passwords(client, guessed):
    assert guessed == [200, 200, 200, 200, 429]
    answer = log_in(client, "bea", PASSWORD)
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_says_until_when(client, guessed):
    locked_at = timezone.now() - timedelta(minutes=3)
    AccessAttempt.objects.update(attempt_time=locked_at)
    answer = log_in(client, "bea", PASSWORD)
    page = answer.content.decode()
    assert f'until <time datetime="{locked_at + timedelta(minutes=15):%Y-%m-%dT%H:%M}' in page
    assert "12 minutes from now" in page
    assert 700 < int(answer["Retry-After"]) <= 720
    assert "support/back_office.css" in page


def test_does_not_lock_the_office(client, guessed):
    assert log_in(client, "cem", PASSWORD).status_code == 302


def test_does_not_lock_the_name_elsewhere(client, guessed):
    assert log_in(client, "bea", PASSWORD, address="198.51.100.4").status_code == 302


def test_opens_again_after_fifteen_minutes(client, guessed):
    for minutes, status in ((14, 429), (16, 302)):
        AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=minutes))
        assert log_in(client, "bea", PASSWORD).status_code == status


def test_is_not_prolonged_by_more_guesses(client, guessed):
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    log_in(client, "bea", "wrong")
    assert AccessAttempt.objects.get().attempt_time < timezone.now() - timedelta(minutes=13)


def test_forgets_after_a_right_password(client, settings):
    settings.DEBUG = True
    for _ in range(3):
        for _ in range(4):
            log_in(client, "bea", "wrong")
        assert log_in(client, "bea", PASSWORD).status_code == 302


def test_leaves_api_keys_alone(client, guessed):
    key = APIKeyFactory(user=User.objects.get(username="bea"))
    headers = {"HTTP_AUTHORIZATION": f"Bearer {key.secret}", "REMOTE_ADDR": OFFICE}
    assert client.get("/v1/support/tickets", **headers).status_code == 200


def test_takes_the_address_from_a_trusted_proxy(client, settings):
    from ipaddress import ip_network

    settings.DEBUG = True
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    for _ in range(5):
        log_in(client, "bea", "wrong", "10.0.0.1", HTTP_X_FORWARDED_FOR=f"1.2.3.4, {OFFICE}")
    elsewhere = {"HTTP_X_FORWARDED_FOR": "198.51.100.4"}
    assert AccessAttempt.objects.get().ip_address == OFFICE
    assert log_in(client, "bea", PASSWORD, "10.0.0.1", **elsewhere).status_code == 302


@pytest.mark.parametrize("name", ["x" * 300, "be\x00a", "", "\U0001f600"])
@pytest.mark.parametrize("address", [OFFICE, "not an address"])
def test_never_breaks_on_a_strange_name_or_address(client, settings, name, address):
    settings.DEBUG = True
    assert log_in(client, name, "wrong", address).status_code == 200


def test_keeps_no_password(client, guessed):
    log_in(client, "bea", "s3cret-guess")
    attempt = AccessAttempt.objects.get()
    assert "wrong" not in attempt.post_data
    assert "s3cret" not in attempt.post_data + attempt.get_data


KEY = generate()


def test_keeps_no_key_and_nothing_else_that_was_sent(client, settings):
    settings.DEBUG = True
    url = f"{reverse('admin:login')}?next=/admin/&key={KEY}&{KEY}=1"
    client.post(
        url,
        {"username": KEY, "password": KEY, "api_key": KEY, KEY: "1"},
        HTTP_USER_AGENT=f"client/1.0 (key {KEY})",
        HTTP_ACCEPT=f"text/html; key={KEY}",
        REMOTE_ADDR=OFFICE,
    )
    log_in(client, "my-own-passw0rd", "my-own-name")
    kept = str(list(AccessAttempt.objects.values()))
    assert "client/1.0" in kept
    for secret in (KEY, KEY[12:], "my-own-passw0rd", "my-own-name"):
        assert secret not in kept


@pytest.mark.django_db(transaction=True)
def test_forgets_what_was_kept_before(people):
    call_command("migrate", "accounts", "0005", verbosity=0)
    AccessAttempt.objects.create(username=KEY, failures_since_start=1)
    call_command("migrate", "accounts", verbosity=0)
    assert not AccessAttempt.objects.exists()


def test_locks_an_unknown_name_as_it_does_a_known_one(client, settings):
    settings.DEBUG = True
    answers = [log_in(client, "nobody", "wrong").status_code for _ in range(5)]
    assert answers == [200, 200, 200, 200, 429]
    assert log_in(client, "somebody", "wrong").status_code == 200


def test_is_lifted_by_an_administrator(client, guessed, admin_client):
    attempt = AccessAttempt.objects.get()
    url = reverse("admin:axes_accessattempt_delete", args=[attempt.pk])
    admin_client.post(url, {"post": "yes"})
    assert log_in(client, "bea", PASSWORD).status_code == 302

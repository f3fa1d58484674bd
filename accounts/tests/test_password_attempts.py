"""Passwords tried over ever new names: counted by network, hashed two at a time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from ipaddress import ip_network

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import PasswordAttempts
from accounts.password_attempts import (
    LIMIT,
    MOST_HASHES,
    WINDOW_SECONDS,
    attempt_limit,
)
from accounts.tests.factories import APIKeyFactory

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
OFFICE = "203.0.113.7"


class GatedHasher(MD5PasswordHasher):
    """Hashes once the gate is open, and knows how many were at it at once."""

    gate = threading.Event()
    lock = threading.Lock()
    active = most = total = 0

    def encode(self, password, salt):
        cls = type(self)
        with cls.lock:
            cls.active += 1
            cls.total += 1
            cls.most = max(cls.most, cls.active)
        assert cls.gate.wait(30)
        with cls.lock:
            cls.active -= 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def hasher(settings):
    settings.DEBUG = True  # Plain HTTP from elsewhere than this machine.
    settings.PASSWORD_HASHERS = [f"{__name__}.GatedHasher"]
    GatedHasher.gate.set()
    GatedHasher.active = GatedHasher.most = GatedHasher.total = 0
    return GatedHasher


@pytest.fixture
def bea(django_user_model):
    return django_user_model.objects.create_user("bea", password=PASSWORD, is_staff=True)


def log_in(client, name, password="Winter2026!", address=OFFICE, **headers):
    data = {"username": name, "password": password}
    return client.post(reverse("admin:login"), data, REMOTE_ADDR=address, **headers)


@pytest.fixture
def sprayed(client, hasher):
    """One password, tried over as many names as the limit allows."""
    for n in range(LIMIT):
        assert log_in(client, f"name{n}").status_code == 200


def test_stop_before_anything_is_hashed(client, sprayed, hasher):
    hashed = hasher.total
    answer = log_in(client, "another")
    assert answer.status_code == 429
    assert hasher.total == hashed == LIMIT
    assert 0 < int(answer["Retry-After"]) <= WINDOW_SECONDS


def test_stop_from_memory_from_then_on(client, sprayed, django_assert_num_queries):
    log_in(client, "another")
    with django_assert_num_queries(0):
        assert log_in(client, "one more").status_code == 429


def test_are_counted_for_all_processes(client, sprayed):
    attempt_limit.__init__()  # What another process knows.
    assert log_in(client, "another").status_code == 429


def test_stop_nobody_elsewhere(client, bea, sprayed):
    log_in(client, "another")
    assert log_in(client, "bea", PASSWORD, address="198.51.100.4").status_code == 302


def test_leave_api_keys_alone(client, sprayed):
    log_in(client, "another")
    headers = {"HTTP_AUTHORIZATION": f"Bearer {APIKeyFactory().secret}", "REMOTE_ADDR": OFFICE}
    assert client.get("/v1/api-keys", **headers).status_code == 200


def test_begin_anew_after_fifteen_minutes(client, sprayed):
    log_in(client, "another")
    attempt_limit.__init__()
    PasswordAttempts.objects.update(resets_at=1)
    assert log_in(client, "another").status_code == 200
    assert PasswordAttempts.objects.get().attempts == 1


def test_leave_no_row_behind(client):
    for last in range(3):
        log_in(client, "bea", address=f"198.51.100.{last}")
        PasswordAttempts.objects.update(resets_at=1)
    log_in(client, "bea")
    assert PasswordAttempts.objects.get().network == OFFICE


def test_do_not_count_when_they_are_right(client, bea):
    for _ in range(LIMIT + 1):
        assert log_in(client, "bea", PASSWORD).status_code == 302
    assert PasswordAttempts.objects.get().attempts == 0


def test_count_for_the_old_password_too(client, bea):
    client.force_login(bea)
    url = reverse("admin:password_change")
    data = {"old_password": "x", "new_password1": "n3w-passw0rd", "new_password2": "n3w-passw0rd"}
    answers = [client.post(url, data, REMOTE_ADDR=OFFICE).status_code for _ in range(LIMIT + 1)]
    assert answers == [200] * LIMIT + [429]


def test_are_not_used_up_by_other_peoples_pages(bea):
    browser = Client(enforce_csrf_checks=True)
    for _ in range(LIMIT + 1):
        assert log_in(browser, "bea").status_code == 403
    assert not PasswordAttempts.objects.exists()


def test_hold_an_ipv6_client_to_its_network(client, bea):
    answers = [
        log_in(client, "bea", address=f"2001:db8::{last:x}").status_code for last in range(14)
    ]
    assert answers == [200] * 4 + [429] * 10
    assert log_in(client, "bea", PASSWORD, address="2001:db8:0:1::1").status_code == 302


def test_hold_all_whom_the_proxy_does_not_name_to_one_limit(client, bea, settings):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]

    def log_in_as(name, password, forwarded):
        headers = {"HTTP_X_FORWARDED_FOR": forwarded, "HTTP_X_FORWARDED_PROTO": "https"}
        return log_in(client, name, password, "10.0.0.1", **headers).status_code

    for forwarded in ("\xff", "", "_hidden", "\xfe", "unknown"):
        log_in_as("bea", "wrong", forwarded)
    assert log_in_as("bea", PASSWORD, "\xfd") == 429
    assert log_in_as("bea", PASSWORD, OFFICE) == 302
    for n in range(LIMIT):
        log_in_as(f"name{n}", "wrong", "\xff")
    assert log_in_as("another", "wrong", "") == 429


def test_say_until_when_in_the_pages_own_look(client, bea, sprayed):
    pages = [log_in(client, "another")]
    pages += [log_in(client, "bea", address="198.51.100.4") for _ in range(5)][-1:]
    for page in pages:
        text = page.content.decode()
        assert page.status_code == 429
        assert 890 < int(page["Retry-After"]) <= 900
        assert "support/back_office.css" in text
        assert " UTC</time>" in text


@pytest.mark.django_db(transaction=True)
def test_are_hashed_two_at_a_time(hasher):
    hasher.gate.clear()
    connection.close()

    def guess(n):
        try:
            return log_in(Client(), f"name{n}", address=f"198.51.100.{n}")
        finally:
            connection.close()

    people = MOST_HASHES + 4
    with ThreadPoolExecutor(people) as pool:
        answers = as_completed([pool.submit(guess, n) for n in range(people)])
        refused = [next(answers).result() for _ in range(people - MOST_HASHES)]
        # The others have their places, though not all may have got to the hash.
        deadline = time.monotonic() + 30
        while hasher.active < MOST_HASHES and time.monotonic() < deadline:
            time.sleep(0.01)
        hasher.gate.set()
        let_in = [answer.result().status_code for answer in answers]
    assert {answer.status_code for answer in refused} == {503}
    assert refused[0]["Retry-After"] == "1"
    assert "support/back_office.css" in refused[0].content.decode()
    assert let_in == [200] * MOST_HASHES
    assert hasher.most == MOST_HASHES

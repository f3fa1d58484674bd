"""The key's own format: what scanners and clients may know of it."""

import re
import zlib

import pytest

from accounts import api_keys
from accounts.tests.factories import APIKeyFactory


def test_has_prefix_secret_and_check_characters():
    key = api_keys.generate()
    assert re.fullmatch(r"ctxfy_[0-9A-Za-z]{38}", key)
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = 0
    for digit in key[-6:]:
        value = value * 62 + alphabet.index(digit)
    assert value == zlib.crc32(key[:-6].encode())


@pytest.mark.parametrize(
    "key",
    ["ctxfy_" + "0" * 32 + "11ALXz", "ctxfy_7Zq1xWmR0bYvK3nTgL5uD8sJcA2fHhEe" + "2bj9J7"],
)
def test_is_checked_as_the_first_release_did(key):
    """Keys are out there, and scanners know their check characters by heart."""
    assert api_keys.is_well_formed(key)
    assert not api_keys.is_well_formed(key.swapcase())


@pytest.mark.parametrize("change", ["{}0", "{}\n", " {}", "x{}", "{}{}"])
def test_has_nothing_before_it_or_after_it(change):
    key = api_keys.generate()
    assert api_keys.is_well_formed(key)
    assert not api_keys.is_well_formed(change.format(key, key))


def test_refuses_another_prefix_that_checks_out():
    body = "CTXFY_" + "0" * 32
    assert not api_keys.is_well_formed(body + api_keys._check_characters(body))


def test_is_never_the_same_twice():
    assert len({api_keys.generate() for _ in range(1_000)}) == 1_000


def test_refuses_every_single_mistyped_character():
    key = api_keys.generate()
    for position in range(len(key)):
        for other in "0Az_":
            if other != key[position]:
                assert not api_keys.is_well_formed(key[:position] + other + key[position + 1 :])


@pytest.mark.django_db
def test_is_not_in_its_row():
    key = APIKeyFactory()
    row = " ".join(str(value) for value in vars(type(key).objects.get()).values())
    assert key.secret not in row
    assert key.secret[12:] not in row

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

"""The address of a ticket: found again however it is written, and never made up."""

import string
from uuid import uuid4

import pytest

from ctxfy_support.ids import uuid7
from support.reply_addresses import find_reply_address, find_ticket_id


@pytest.fixture(autouse=True)
def replies(settings):
    settings.SUPPORT_EMAIL_REPLIES = "help@ctxfy.example"


@pytest.mark.parametrize("make_id", [uuid7, uuid4])
@pytest.mark.parametrize("write", [str, str.upper, str.title])
def test_is_found_again(make_id, write):
    ticket_id = make_id()
    address = find_reply_address(ticket_id)
    local, _, domain = address.partition("@")
    assert local.startswith("help+")
    assert domain == "ctxfy.example"
    assert len(local) <= 64
    assert set(local) <= set(string.ascii_lowercase + string.digits + "+")
    assert find_ticket_id(write(address)) == ticket_id


def test_does_not_depend_on_the_rest_of_the_address():
    address = find_reply_address(uuid7())
    token = address.partition("+")[2].partition("@")[0]
    assert find_ticket_id(f"other+tag+{token}@elsewhere.example") == find_ticket_id(address)


def test_is_forged_by_no_other_character():
    """Not even by those that base32 does not use to the full at the end."""
    local, _, domain = find_reply_address(uuid7()).partition("@")
    for place in range(len("help+"), len(local)):
        for other in string.ascii_lowercase + "234567":
            if other != local[place]:
                forged = local[:place] + other + local[place + 1 :]
                assert find_ticket_id(f"{forged}@{domain}") is None


@pytest.mark.parametrize("local", ["", "help", "help+", "+", "help+x", "help+" + "é" * 42])
def test_knows_what_is_none(local):
    assert find_ticket_id(f"{local}@ctxfy.example") is None
    assert find_ticket_id(local) is None


def test_outlives_a_rotation_and_not_its_end(settings):
    settings.SECRET_KEY = "first"
    address = find_reply_address(uuid7())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "second", ["first"]
    assert find_ticket_id(address) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert find_ticket_id(address) is None


def test_is_none_without_the_setting(settings):
    settings.SUPPORT_EMAIL_REPLIES = ""
    assert find_reply_address(uuid7()) is None

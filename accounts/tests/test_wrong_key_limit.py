"""The count of useless keys by network, to the second and to the last entry kept."""

from types import SimpleNamespace

import pytest

from accounts import api_keys, wrong_keys
from accounts.wrong_keys import LIMIT, WrongKeyLimit
from ctxfy_support import network_counts


@pytest.fixture
def clock(monkeypatch):
    """The clock of both modules, in the test's hands: `clock.now += 1`."""
    clock = SimpleNamespace(now=1_000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(wrong_keys, "time", clock)
    monkeypatch.setattr(network_counts, "time", clock)
    return clock


@pytest.fixture
def limit(clock):
    return WrongKeyLimit()


def send(limit, times, address="192.0.2.1"):
    for _ in range(times):
        limit.note_wrong(address, "useless")


def may_try(limit, address="192.0.2.1"):
    return limit.seconds_to_wait(address) == 0


def test_lets_thirty_through_a_minute_and_no_more(limit):
    assert LIMIT == 30
    assert may_try(limit)
    send(limit, LIMIT - 1)
    assert may_try(limit)
    send(limit, 1)
    assert not may_try(limit)


@pytest.mark.parametrize(("after", "wait"), [(0.5, 60), (30.0, 31), (30.5, 30), (59.9, 1), (60, 0)])
def test_says_how_many_seconds_are_left(limit, clock, after, wait):
    send(limit, LIMIT)
    clock.now += after
    assert limit.seconds_to_wait("192.0.2.1") == wait


def test_counts_from_the_first_useless_key_of_the_minute(limit, clock):
    send(limit, LIMIT - 1)
    clock.now += 59.9
    send(limit, 1)
    assert not may_try(limit)
    clock.now += 0.1
    assert may_try(limit)
    send(limit, LIMIT - 1)
    assert may_try(limit)
    send(limit, 1)
    assert not may_try(limit)


def test_knows_what_is_no_key_at_all(limit):
    assert limit.is_useless("useless")
    assert not limit.is_useless(api_keys.generate())


@pytest.mark.parametrize(("after", "useless"), [(0, True), (0.9, True), (1.0, False)])
def test_knows_a_useless_key_for_a_second(limit, clock, after, useless):
    """An account that is opened again waits no longer."""
    key = api_keys.generate()
    limit.note_wrong("192.0.2.1", key)
    clock.now += after
    assert limit.is_useless(key) is useless
    assert not limit.is_useless(api_keys.generate())


def test_forgets_the_address_that_has_been_quiet_for_longest(limit, monkeypatch):
    monkeypatch.setattr(network_counts, "NETWORKS_KEPT", 2)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        send(limit, LIMIT, address)
    assert not may_try(limit, "192.0.2.2")
    send(limit, LIMIT, "192.0.2.3")
    addresses = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    assert [may_try(limit, address) for address in addresses] == [False, True, False]


def test_forgets_the_key_that_was_looked_up_first(limit, monkeypatch):
    monkeypatch.setattr(wrong_keys, "KEYS_KEPT", 2)
    one, two, three = (api_keys.generate() for _ in range(3))
    for key in (one, two, one, three):
        limit.note_wrong("192.0.2.1", key)
    assert [limit.is_useless(key) for key in (one, two, three)] == [True, False, True]

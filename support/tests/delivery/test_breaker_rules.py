"""When the channel counts as down and as back, one attempt at a time."""

import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from support.delivery import breaker as module
from support.delivery.breaker import Breaker
from support.failures import SUPPORT_EMAIL_REFUSED, Failure, FailureKind
from support.mail_channel import MailChannel, channel_name

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
GONE = Failure(FailureKind.TRANSIENT, "connection", "Gone")
BUSY = Failure(FailureKind.TRANSIENT, "451", "Later")
TOO_LARGE = Failure(FailureKind.MESSAGE, "552", "Too large")
UNWRITABLE = Failure(FailureKind.MESSAGE, "invalid", "Cannot be written")
PASSWORD = Failure(FailureKind.CHANNEL, "535", "Password")
DOWN = (
    "MAIL IS DOWN: channel 535: Password. Every mail waits; one attempt every 30 s finds out when "
    "it is back. Nothing is lost."
)
RECIPIENT = Failure(FailureKind.CHANNEL, "550", SUPPORT_EMAIL_REFUSED)


@pytest.fixture
def clock(monkeypatch):
    """The breaker's own clock, in the test's hands; the database's goes on."""
    clock = SimpleNamespace(now=1_000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def breaker(clock):
    return Breaker()


def report(breaker, *outcomes, seconds=0.0, to_support=True):
    for outcome in outcomes:
        breaker.report(outcome, seconds=seconds, to_support=to_support)


def began(ago):
    """Let the channel have been down for so long already."""
    MailChannel.objects.update(failing_since=timezone.now() - ago)


@pytest.mark.parametrize(
    ("outcomes", "down"),
    [
        ([PASSWORD], True),
        ([GONE] * 2, False),
        ([GONE] * 3, True),
        ([GONE, GONE, None, GONE, GONE], False),
        ([GONE, GONE, None, GONE, GONE, GONE], True),
        ([GONE, GONE, BUSY, GONE, GONE], False),
        ([GONE, GONE, BUSY, GONE, GONE, GONE], True),
        ([GONE, GONE, TOO_LARGE, GONE, GONE], False),
        ([GONE, GONE, UNWRITABLE, GONE], True),
        ([BUSY] * 5, False),
        ([TOO_LARGE] * 5, False),
        ([UNWRITABLE] * 5, False),
        ([None] * 5, False),
    ],
)
def test_is_down_once_it_is_refused_or_not_reached_three_times(breaker, outcomes, down):
    report(breaker, *outcomes)
    assert breaker.is_down() == down
    assert Breaker().is_down() == down


def test_keeps_what_happened_in_the_channels_row(breaker):
    before = timezone.now()
    report(breaker, PASSWORD)
    row = MailChannel.objects.get()
    assert (row.name, row.last_error) == (channel_name(), "channel 535: Password")
    assert before - SECOND <= row.failing_since <= timezone.now() + SECOND
    assert before + 29 * SECOND <= row.next_probe_at <= timezone.now() + 31 * SECOND


def test_notes_a_failure_of_a_channel_that_is_down_already(breaker):
    report(breaker, PASSWORD)
    before = timezone.now()
    MailChannel.objects.update(next_probe_at=before - SECOND, failing_since=before - 9 * SECOND)
    report(breaker, RECIPIENT)
    row = MailChannel.objects.get()
    assert row.last_error == f"channel 550: {SUPPORT_EMAIL_REFUSED}"
    assert row.failing_since == before - 9 * SECOND
    assert before + 29 * SECOND <= row.next_probe_at <= timezone.now() + 31 * SECOND


def test_says_it_when_it_breaks_down_and_when_it_is_back(breaker, caplog):
    caplog.set_level(logging.INFO)
    report(breaker, PASSWORD, PASSWORD)
    began(SECOND)
    report(breaker, None, None)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", DOWN),
        ("WARNING", "Mail is back: what waited goes out now"),
    ]


def test_breaks_down_again_in_the_same_row(breaker, caplog):
    report(breaker, PASSWORD)
    began(SECOND)
    report(breaker, None)
    row = MailChannel.objects.get()
    assert (row.failing_since, row.next_probe_at, row.last_error) == (None, None, "")
    before = timezone.now()
    report(breaker, RECIPIENT)
    assert Breaker().is_down()
    assert caplog.text.count("MAIL IS DOWN") == 2
    row = MailChannel.objects.get()
    assert row.last_error == f"channel 550: {SUPPORT_EMAIL_REFUSED}"
    assert before + 29 * SECOND <= row.next_probe_at <= timezone.now() + 31 * SECOND


def test_keeps_why_it_could_not_be_reached(breaker):
    report(breaker, GONE, GONE, GONE)
    assert MailChannel.objects.get().last_error == "transient connection: Gone"


@pytest.mark.parametrize("outcome", [None, TOO_LARGE])
def test_is_back_once_a_mail_gets_through(breaker, outcome):
    report(breaker, PASSWORD)
    began(SECOND)
    report(breaker, outcome)
    assert not breaker.is_down()
    assert not Breaker().is_down()


@pytest.mark.parametrize("outcome", [UNWRITABLE, BUSY, GONE, PASSWORD])
def test_is_not_back_by_anything_else(breaker, outcome):
    report(breaker, PASSWORD)
    began(SECOND)
    assert not breaker.report(outcome, seconds=0.0, to_support=True)
    assert breaker.is_down()
    assert Breaker().is_down()


@pytest.mark.parametrize(("took", "down"), [(5.0, False), (30.0, True)])
def test_is_not_back_by_what_began_before_the_refusal(breaker, took, down):
    report(breaker, PASSWORD)
    began(20 * SECOND)
    report(breaker, None, seconds=took)
    assert breaker.is_down() == down


@pytest.mark.parametrize(
    ("failure", "to_support", "down"),
    [
        (RECIPIENT, True, False),
        (RECIPIENT, False, True),
        (PASSWORD, True, False),
        (PASSWORD, False, False),
    ],
)
def test_learns_nothing_of_support_from_a_customers_mailbox(breaker, failure, to_support, down):
    report(breaker, failure)
    began(SECOND)
    report(breaker, None, to_support=to_support)
    assert breaker.is_down() == down


def test_remembers_for_a_second(breaker, clock, django_assert_num_queries):
    assert not breaker.is_down()
    with django_assert_num_queries(0):
        assert not breaker.is_down()
    report(Breaker(), PASSWORD)
    clock.now += 0.9
    with django_assert_num_queries(0):
        assert not breaker.is_down()
    clock.now += 0.1
    with django_assert_num_queries(1):
        assert breaker.is_down()
    with django_assert_num_queries(0):
        assert breaker.is_down()


def test_asks_the_database_in_the_first_second_of_a_machine(monkeypatch):
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.1))
    report(Breaker(), PASSWORD)
    assert Breaker().is_down()


def test_knows_at_once_what_it_has_found_out_itself(breaker, django_assert_num_queries):
    report(breaker, PASSWORD)
    with django_assert_num_queries(0):
        assert breaker.is_down()


def test_gives_the_probe_to_one_when_it_is_due(breaker):
    assert not breaker.is_probe_due()
    assert not breaker.take_probe()
    report(breaker, PASSWORD)
    assert not breaker.is_probe_due()
    assert not breaker.take_probe()
    before = timezone.now()
    MailChannel.objects.update(next_probe_at=before - SECOND)
    assert breaker.is_probe_due()
    assert [breaker.take_probe() for _ in range(2)] == [True, False]
    assert not breaker.is_probe_due()
    next_probe_at = MailChannel.objects.get().next_probe_at
    assert before + 29 * SECOND <= next_probe_at <= timezone.now() + 31 * SECOND


def test_gives_no_probe_to_a_channel_that_is_up(breaker):
    report(breaker, PASSWORD)
    MailChannel.objects.update(failing_since=None, next_probe_at=timezone.now() - SECOND)
    assert not breaker.is_probe_due()
    assert not breaker.take_probe()


def test_knows_its_own_channel_alone(breaker, settings):
    report(breaker, PASSWORD)
    settings.SUPPORT_EMAIL_FROM = "another@ctxfy.example"
    other = Breaker()
    assert not other.is_down()
    report(other, GONE, None)
    settings.SUPPORT_EMAIL_FROM = ""
    assert Breaker().is_down()

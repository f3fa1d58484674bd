"""What `manage.py doctor` says of the mail that comes in."""

import pytest

from ctxfy_support.tests.loopback import free_port
from support.inbox.diagnosis import check_ways_in


@pytest.fixture
def look(settings):
    settings.SUPPORT_EMAIL_REPLIES = "help@ctxfy.example"
    return lambda: [(finding.outcome, finding.what) for finding in check_ways_in()]


def test_says_that_the_mailbox_lets_us_in(look, use_mailbox, mailbox):
    use_mailbox(mailbox)
    [(outcome, what)] = look()
    assert (outcome, "takes our log-in, and has INBOX" in what) == ("well", True)


@pytest.mark.parametrize(
    ("name", "value"), [("IMAP_PASSWORD", "wrong"), ("IMAP_FOLDER", "Elsewhere")]
)
def test_says_that_it_does_not(look, use_mailbox, mailbox, settings, name, value):
    use_mailbox(mailbox)
    setattr(settings, name, value)
    [(outcome, what)] = look()
    assert (outcome, "does not let us in" in what) == ("wrong", True)
    assert "wrong" not in what


def test_says_that_nobody_is_there(look, use_mailbox, mailbox, settings):
    use_mailbox(mailbox)
    settings.IMAP_PORT = free_port()
    [(outcome, what)] = look()
    assert (outcome, "cannot be reached" in what or "does not let us in" in what) == ("wrong", True)


def test_says_that_a_part_is_missing(look, use_mailbox, mailbox, settings):
    use_mailbox(mailbox)
    settings.IMAP_PASSWORD = ""
    assert look() == [("wrong", "IMAP_PASSWORD is not set: nobody fetches what customers answer")]


def test_says_that_nothing_brings_mail(look, settings):
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": ""}
    assert look() == [("wrong", "Nothing brings what customers answer")]
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": "u:p"}
    assert [outcome for outcome, _ in look()] == ["well"]
    settings.SUPPORT_EMAIL_REPLIES = ""
    assert [outcome for outcome, _ in look()] == ["notice"]

"""Fixtures of the tests of mail that comes in by IMAP."""

import pytest

from ctxfy_support.tests.dovecot import Dovecot


@pytest.fixture(scope="module")
def dovecot():
    with Dovecot() as server:
        yield server


@pytest.fixture
def mailbox(dovecot):
    """A mailbox that is empty."""
    return dovecot.make_mailbox()


@pytest.fixture
def use_mailbox(settings, monkeypatch):
    """`use_mailbox(mailbox, security="none")`: the settings that its environment would give."""

    def use_mailbox(mailbox, security="none"):
        env = mailbox.env_for(security)
        monkeypatch.setenv("SSL_CERT_FILE", env.pop("SSL_CERT_FILE"))
        for name, value in env.items():
            setattr(settings, name, int(value) if name == "IMAP_PORT" else value)
        return mailbox

    return use_mailbox

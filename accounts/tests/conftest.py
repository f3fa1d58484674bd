"""Fixtures of the account tests."""

import pytest

from accounts.tests.factories import APIKeyFactory


@pytest.fixture
def api_key(db):
    return APIKeyFactory()


@pytest.fixture
def api(client, api_key):
    """A client that sends `api_key` with every request."""
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {api_key.secret}"
    return client

"""Fixtures of the support tests: a client with a key, and Django pointed at a fake provider."""

import os
import runpy

import pytest
from django.test import Client

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.tests.processes import PROJECT_DIRECTORY
from support.tests.factories import make_staff

MAIL_SETTINGS = ("SUPPORT_EMAIL", "EMAIL_", "ANYMAIL", "SITE_URL")


@pytest.fixture
def api_key(db):
    return APIKeyFactory()


@pytest.fixture
def api(client, api_key):
    """`api.post(path, data)` as the owner of `api_key`."""
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {api_key.secret}"
    return client


@pytest.fixture
def post(api):
    """`post(**changes)`: a ticket through the front door."""

    def post(**changes):
        ticket = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice"}
        return api.post("/v1/support/tickets", ticket | changes, content_type="application/json")

    return post


@pytest.fixture
def use_mail(settings, monkeypatch):
    """`use_mail(server, NAME="value")`: the mail settings that this environment would give."""

    def use_mail(server, **env):
        for name, value in (server.env | env).items():
            monkeypatch.setitem(os.environ, name, value)
        fresh = runpy.run_path(str(PROJECT_DIRECTORY / "ctxfy_support" / "settings.py"))
        for name, value in fresh.items():
            if name.startswith(MAIL_SETTINGS):
                setattr(settings, name, value)
        return server

    return use_mail


@pytest.fixture(params=["smtp", "sendgrid"])
def provider(request, use_mail):
    """Each of the two mail providers in turn, and the settings that use it."""
    return use_mail(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture
def agent(db):
    return make_staff("Agents", "bea")


@pytest.fixture
def desk(agent):
    """The back-office as the agent `bea` has it in her browser."""
    return log_in(agent)


@pytest.fixture
def colleague(db):
    return make_staff("Agents", "cem")


def log_in(person):
    client = Client()
    client.force_login(person)
    return client

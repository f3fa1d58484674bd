"""What every page of the back-office promises the browser."""

import re

import pytest
from django.urls import reverse

from accounts.tests.factories import APIKeyFactory
from support.models import CannedReply, SavedView, Tag
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def urls():
    ticket = TicketFactory(email_status="failed")
    CannedReply.objects.create(name="Hello", text="Hello {{ account }}")
    SavedView.objects.create(name="Billing", query="type=billing")
    Tag.objects.create(name="bug")
    APIKeyFactory()
    pages = ["index", "login", "password_change", "support_ticket_changelist"]
    models = ("accounts_user", "accounts_plan", "accounts_apikey", "auth_group", "support_tag")
    lists = [f"{model}_{page}" for model in models for page in ("changelist", "add")]
    return [
        *(reverse(f"admin:{name}") for name in [*pages, *lists]),
        reverse("admin:support_ticket_change", args=[ticket.pk]),
        reverse("admin:support_ticket_add"),
        "/admin/nothing/",
    ]


def test_holds_no_script_within_the_page(admin_client, urls):
    for url in urls:
        page = admin_client.get(url).content.decode()
        for script in re.findall(r"<script\b[^>]*>", page):
            assert "src=" in script or 'type="application/json"' in script, (url, script)
        assert not re.search(r"<[a-z][^>]*\son[a-z]+\s*=", page), url
        assert "javascript:" not in page, url
        assert not re.search(r"(src|href)=\"(https?:)?//", page), url


def test_has_a_content_security_policy(admin_client, urls):
    for url in urls:
        policy = admin_client.get(url)["Content-Security-Policy"]
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert scripts == "script-src 'self' 'unsafe-eval'", url
        assert policy.startswith("default-src 'none'"), url
        assert "frame-ancestors 'none'" in policy, url


def test_loosens_the_policy_nowhere_else(client):
    for path in ("/health", "/v1/support/tickets"):
        assert "unsafe" not in client.get(path).headers.get("Content-Security-Policy", "")


def test_is_kept_out_of_shared_caches(admin_client, urls):
    for url in urls:
        assert "private" in admin_client.get(url)["Cache-Control"], url

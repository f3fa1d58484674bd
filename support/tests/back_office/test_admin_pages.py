"""What every page of the back-office promises the browser."""

import re
from urllib.parse import urlencode

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


NONSENSE = ["\x00", "(", "[a-", "%", "9" * 40, "word " * 1_200, "x" * 5_000, "-1", "null"]
HARD = ["\x00", "(", "9" * 40, "word " * 1_200]
PARAMETERS = ["q", "p", "o", "plan__slug__exact", "username__regex", "is_staff__exact",
              "revoked_at__gte", "token_balance", "id", "name"]  # fmt: skip
LISTS = ["accounts_user", "accounts_plan", "accounts_apikey", "auth_group", "axes_accessattempt",
         "support_cannedreply", "support_tag", "support_savedview"]  # fmt: skip


@pytest.mark.parametrize("model", LISTS)
def test_never_breaks_on_a_strange_filter(admin_client, model):
    APIKeyFactory()
    url = reverse(f"admin:{model}_changelist")
    for name in PARAMETERS:
        for value in HARD:
            answer = admin_client.get(f"{url}?{urlencode({name: value})}")
            assert answer.status_code in {200, 302, 400}, (name, value[:20])


@pytest.mark.parametrize("model", LISTS)
def test_never_breaks_on_a_strange_id(admin_client, model):
    for pk in ("%00", "x", "9" * 40, "-1", "../..", "%F0%9F%92%A9"):
        for page in ("change", "delete", "history"):
            url = reverse(f"admin:{model}_{page}", args=["ID"]).replace("ID", pk)
            assert admin_client.get(url).status_code in {200, 302, 403, 404}, url


@pytest.mark.parametrize("term", NONSENSE)
def test_never_breaks_on_a_strange_search(admin_client, term):
    where = {"app_label": "accounts", "model_name": "apikey", "field_name": "user"}
    autocomplete = reverse("admin:autocomplete")
    assert admin_client.get(autocomplete, where | {"term": term}).status_code == 200
    assert admin_client.get(autocomplete, where | {"page": term}).status_code == 404
    for name in ("s", "page"):
        answer = admin_client.get(reverse("admin:search"), {"s": "a", name: term})
        assert answer.status_code in {200, 404}


def test_finds_accounts_by_several_words(admin_client):
    user = APIKeyFactory().user
    answer = admin_client.get(reverse("admin:accounts_user_changelist"), {"q": user.username})
    assert user.username in answer.content.decode()


def test_shows_what_agents_typed_as_text_too(admin_client, admin_user):
    script = "<script>pwned=1</script>"
    ticket = TicketFactory(user__username=script, assignee=admin_user)
    admin_user.first_name = script
    admin_user.save()
    ticket.add_note(admin_user, script)
    ticket.tags.add(Tag.objects.create(name=script))
    CannedReply.objects.create(name=script, text=script)
    save = {"name": script, "query": "type=<script>pwned=1</script>"}
    pages = [admin_client.post(reverse("admin:support_ticket_save_view"), save, follow=True)]
    pages += [admin_client.get(reverse(f"admin:{model}_changelist")) for model in LISTS]
    pages += [admin_client.get(reverse("admin:support_ticket_change", args=[ticket.pk]))]
    for page in [*pages, admin_client.get(reverse("admin:index"))]:
        assert page.status_code == 200
        assert script not in page.content.decode()

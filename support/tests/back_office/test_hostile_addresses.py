"""Whatever stands in an address or a form of the back-office, nothing breaks."""

import re
from urllib.parse import urlencode

import pytest
from django.urls import get_resolver, reverse

from accounts.models import APIKey, User
from accounts.tests.factories import APIKeyFactory
from support.models import CannedReply, SavedView, Tag
from support.tests.factories import TicketFactory

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(240)]

HUGE = "9" * 40
NAMES = ["user", "plan", "owner", "groups", "permissions", "expiration_date", "expiration_date_0",
         "expiration_date_1", "is_active", "is_staff", "token_balance", "requests_per_minute",
         "username", "name", "slug", "text", "query", "email", "password1", "password2",
         "usable_password", "old_password", "new_password1", "new_password2", "action", "index",
         "_selected_action", "select_across", "_to_field", "_popup", "_changelist_filters", "e",
         "o", "p", "q", "s", "page", "term", "app_label", "model_name", "field_name", "next",
         "tickets", "do", "state", "priority", "assignee", "tags", "was_tags", "add_tags",
         "remove_tags", "seen", "reply", "instead_of", "queue"]  # fmt: skip


def walk(patterns, prefix="/"):
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from walk(entry.url_patterns, route)
        else:
            yield route


ROUTES = [
    route
    for route in walk(get_resolver().url_patterns)
    if route.startswith("/admin/") and "(?P" not in route and "logout" not in route
]


@pytest.fixture
def desk(admin_client):
    """A superuser's browser, and a row in every list."""
    admin_client.raise_request_exception = False
    TicketFactory(user=APIKeyFactory().user)
    CannedReply.objects.create(name="Hello", text="Hello")
    Tag.objects.create(name="bug")
    SavedView.objects.create(name="Mine")
    return admin_client


def survives(answer):
    """Whether it is no crash and no way out: who is logged in stays so."""
    return answer.status_code < 500 and "/login/" not in answer.headers.get("Location", "")


@pytest.mark.parametrize("value", ["\x00", "x", HUGE], ids=["NUL", "letter", "huge"])
def test_survive_everywhere_at_once(desk, value):
    assert len(ROUTES) > 60
    everything = dict.fromkeys(NAMES, value)
    pk = {"\x00": "%00"}.get(value, value)
    for route in ROUTES:
        url = re.sub(r"<(?:\w+:)?\w+>", pk, route)
        for answer in (desk.get(f"{url}?{urlencode(everything)}"), desk.post(url, everything)):
            assert survives(answer), (url, answer.status_code, getattr(answer, "exc_info", None))


ADD = [name for name in ROUTES if name.endswith("/add/")]


@pytest.mark.parametrize("route", ADD)
def test_survive_one_by_one_where_a_form_is_filled_in(desk, route):
    for name in ("user", "plan", "owner", "groups", "permissions", "expiration_date", "is_active"):
        for value in ("abc", "1,abc", HUGE):
            answer = desk.get(f"{route}?{urlencode({name: value})}")
            assert survives(answer), (name, value, getattr(answer, "exc_info", None))


def test_fill_in_what_makes_sense(desk):
    user = User.objects.get(username__startswith="customer")
    url = reverse("admin:accounts_apikey_add")
    page = desk.get(f"{url}?user={user.pk}&name=CI&expiration_date=2030-01-02").content.decode()
    assert f'<option value="{user.pk}" selected>{user.username}</option>' in page
    assert 'value="CI"' in page
    assert 'value="2030-01-02"' in page


FILTERS = {
    "accounts_apikey": ["revoked_at__year=99999", "revoked_at__gte=99999", "revoked_at__date=0",
                        "revoked_at__gte=9999-12-31T23:59:59-14:00", "revoked_at__isnull=(",
                        "revoked_at__lt=0001-01-01T00:00:00%2B14:00", "revoked_at__gte=%00"],
    "accounts_user": ["plan__slug__regex=(", "plan__slug__exact=(", "plan__isnull=(", "plan=(",
                      "is_active__exact=(", "is_active__in=(", "is_staff__gt=(",
                      "plan__user__password__startswith=p"],
    "accounts_plan": [f"p={HUGE}", "p=-1", f"o={HUGE}.-{HUGE}", "_to_field=x", "_popup=x&e=x"],
}  # fmt: skip


@pytest.mark.parametrize("model", FILTERS)
def test_survive_every_filter(desk, model):
    for query in FILTERS[model]:
        answer = desk.get(f"{reverse(f'admin:{model}_changelist')}?{query}", follow=True)
        assert answer.status_code in {200, 400}, (query, getattr(answer, "exc_info", None))


@pytest.mark.parametrize(
    "model",
    ["accounts_user", "accounts_plan", "accounts_apikey", "auth_group", "axes_accessattempt",
     "support_cannedreply", "support_tag", "support_savedview"],
)  # fmt: skip
def test_act_on_no_row_that_cannot_be(desk, model):
    url = reverse(f"admin:{model}_changelist")
    for ticked in ("\x00", "x", HUGE):
        for form in ({"action": "delete_selected", "post": "yes"}, {"action": "revoke"}):
            answer = desk.post(url, form | {"_selected_action": [ticked]}, follow=True)
            assert answer.status_code == 200, (ticked, getattr(answer, "exc_info", None))
    assert APIKey.objects.filter(revoked_at=None).exists()
    assert User.objects.filter(is_superuser=True).exists()


def test_survive_beside_the_lists(desk):
    strange = ("1", "x", HUGE, "%00")
    paths = [f"r/{kind}/{pk}/" for kind in strange for pk in strange]
    paths += ["jsi18n/?language=%00", "login/?next=%00", "login/?next=//evil.example", "no/%00/"]
    for path in paths:
        answer = desk.get(f"/admin/{path}")
        assert survives(answer), (path, getattr(answer, "exc_info", None))
        assert "evil.example" not in answer.headers.get("Location", ""), path

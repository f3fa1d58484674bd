"""Who may do what in the back-office: role by page by verb."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.test import Client
from django.urls import reverse

from accounts.models import APIKey, Plan, User
from accounts.tests.factories import APIKeyFactory, UserFactory
from support.models import (
    CannedReply,
    InboundMail,
    Message,
    SavedView,
    Tag,
    Ticket,
    TicketEvent,
)
from support.tests.back_office.test_unmatched_mail import make_mail
from support.tests.factories import TicketFactory, make_staff

pytestmark = pytest.mark.django_db

ROLES = ("anonymous", "customer", "visitor", "Agents", "Supervisors", "Administrators")
# Which roles get past the door; the others are sent to log in (302) or refused (403).
AGENTS = {"Agents", "Supervisors", "Administrators"}
SUPERVISORS = {"Supervisors", "Administrators"}
ADMINISTRATORS = {"Administrators"}
NOBODY = set()
PAGES = {
    ("index", "GET"): AGENTS | {"visitor"},
    ("support_ticket_changelist", "GET"): AGENTS,
    ("support_ticket_add", "GET"): NOBODY,
    ("support_ticket_add", "POST"): NOBODY,
    ("support_ticket_change", "GET"): AGENTS,
    ("support_ticket_delete", "POST"): NOBODY,
    ("support_ticket_claim", "POST"): AGENTS,
    ("support_ticket_release", "POST"): AGENTS,
    ("support_ticket_triage", "POST"): AGENTS,
    ("support_ticket_note", "POST"): AGENTS,
    ("support_ticket_reply", "POST"): AGENTS,
    ("support_ticket_resend", "POST"): AGENTS,
    ("support_ticket_bulk", "POST"): AGENTS,
    ("support_ticket_export", "POST"): AGENTS,
    ("support_ticket_save_view", "POST"): AGENTS,
    ("support_ticket_mail", "GET"): AGENTS,
    ("support_ticket_mail_attach", "POST"): AGENTS,
    ("support_ticket_mail_discard", "POST"): AGENTS,
    ("support_ticket_mail_restore", "POST"): AGENTS,
    **{
        (f"support_{model}_{page}", verb): SUPERVISORS
        for model in ("cannedreply", "tag", "savedview")
        for page, verb in (("add", "GET"), ("add", "POST"), ("change", "POST"), ("delete", "POST"))
    },
    **{
        (f"accounts_plan_{page}", verb): SUPERVISORS
        for page, verb in (("changelist", "GET"), ("add", "POST"), ("change", "POST"))
    },
    ("accounts_user_changelist", "GET"): SUPERVISORS,
    ("accounts_user_change", "GET"): SUPERVISORS,
    ("accounts_apikey_changelist", "GET"): SUPERVISORS,
    **{
        (f"accounts_user_{page}", verb): ADMINISTRATORS
        for page, verb in (("add", "GET"), ("add", "POST"), ("change", "POST"), ("delete", "POST"))
    },
    ("accounts_apikey_add", "GET"): ADMINISTRATORS,
    ("accounts_apikey_add", "POST"): ADMINISTRATORS,
    ("accounts_apikey_delete", "POST"): NOBODY,
    ("auth_group_changelist", "GET"): ADMINISTRATORS,
    ("auth_group_add", "POST"): ADMINISTRATORS,
    ("axes_accessattempt_changelist", "GET"): ADMINISTRATORS,
    ("axes_accessattempt_add", "POST"): NOBODY,
}


@pytest.fixture
def clients():
    people = {role: make_staff(role) for role in AGENTS}
    people["customer"] = UserFactory()
    people["visitor"] = UserFactory(is_staff=True)  # Nobody has given them a role yet.
    clients = {role: Client() for role in ROLES}
    for role, person in people.items():
        clients[role].force_login(person)
    return clients


@pytest.fixture
def objects():
    ticket = TicketFactory(email_status="sent")
    return {
        "support_ticket": ticket,
        "support_ticket_mail": make_mail(),
        "support_cannedreply": CannedReply.objects.create(name="Hello", text="Hello"),
        "support_tag": Tag.objects.create(name="bug"),
        "support_savedview": SavedView.objects.create(name="Mine", query=""),
        "accounts_plan": Plan.objects.get(slug="free"),
        "accounts_user": UserFactory(),
        "accounts_apikey": APIKeyFactory(user=ticket.user),
    }


WITHOUT_OBJECT = ("changelist", "add", "bulk", "export", "view", "mail")


@pytest.mark.parametrize(("page", "verb"), PAGES)
def test_opens_each_page_to_its_roles_alone(clients, objects, page, verb):
    model = page.rpartition("_")[0]
    needs_object = page != "index" and not page.endswith(WITHOUT_OBJECT)
    url = reverse(f"admin:{page}", args=[objects[model].pk] if needs_object else [])
    for role in ROLES:
        status = clients[role].generic(verb, url).status_code
        if role in {"anonymous", "customer"}:
            assert status == 302, role
        elif role in PAGES[page, verb]:
            assert status in {200, 302}, role
        else:
            assert status == 403, role
    assert Ticket.objects.count() == 1


# What a page needs to be sent before it does anything; without a row here, nothing.
CANNED_REPLY = {"name": "Refund", "text": "It is on its way."}
PLAN = {"slug": "team", "name": "Team", "requests_per_minute": "50"}
ACCOUNT = {"username": "zoe", "email": "zoe@example.com", "plan": "free", "token_balance": "5"}
PASSWORD = {"usable_password": "true", "password1": "n3w-passw0rd", "password2": "n3w-passw0rd"}
DATA = {
    "support_ticket_add": {"type": "x", "reply_address": "x", "message": "x"},
    "support_ticket_triage": {"priority": "4"},
    "support_ticket_note": {"text": "x"},
    "support_ticket_reply": {"text": "x"},
    "support_ticket_bulk": {"priority": "4"},
    "support_ticket_export": {"queue": "tab=all"},
    "support_ticket_save_view": {"name": "Open", "query": "tab=open"},
    **{f"support_cannedreply_{page}": CANNED_REPLY for page in ("add", "change")},
    **{f"support_tag_{page}": {"name": "outage"} for page in ("add", "change")},
    **{f"support_savedview_{page}": {"name": "Open"} for page in ("add", "change")},
    **{f"accounts_plan_{page}": PLAN for page in ("add", "change")},
    "accounts_user_add": ACCOUNT | PASSWORD,
    "accounts_user_change": ACCOUNT,
    "accounts_apikey_add": {"name": "CI"},
    "auth_group_add": {"name": "Interns"},
    "axes_accessattempt_add": {"username": "zoe"},
}


def everything():
    """Every row that any of these pages could change."""
    models = (APIKey, CannedReply, Group, InboundMail, Message, Plan, SavedView, Tag, Ticket,
              TicketEvent, User)  # fmt: skip
    return {model: list(model._default_manager.order_by("pk").values()) for model in models}


@pytest.mark.parametrize("page", [page for page, verb in PAGES if verb == "POST"])
def test_does_what_is_posted_for_its_roles_alone(clients, objects, use_mail, smtp_server, page):
    use_mail(smtp_server)
    model = page.rpartition("_")[0]
    needs_object = not page.endswith(WITHOUT_OBJECT)
    url = reverse(f"admin:{page}", args=[objects[model].pk] if needs_object else [])
    ticket = objects["support_ticket"]
    data = {"post": "yes", "tickets": ticket.pk, "ticket": ticket.pk, "user": ticket.user_id}
    data |= DATA.get(page, {})
    did = set()
    for role in ROLES:
        with transaction.atomic():
            holder = clients[role].session.get("_auth_user_id") if "release" in page else None
            unsent = "failed" if "resend" in page else "sent"
            Ticket.objects.update(assignee=holder, email_status=unsent)
            InboundMail.objects.update(outcome="discarded" if "restore" in page else "unmatched")
            before = everything()
            answer = clients[role].post(url, data)
            b"".join(answer)  # An export does its work while it is read.
            if everything() != before:
                did.add(role)
            transaction.set_rollback(True)
    assert did == PAGES[page, "POST"]


@pytest.mark.parametrize("page", ["add", "delete"])
def test_lets_not_even_a_superuser_add_or_delete_a_ticket(admin_client, objects, page):
    arguments = [objects["support_ticket"].pk] if page == "delete" else []
    url = reverse(f"admin:support_ticket_{page}", args=arguments)
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert Ticket.objects.count() == 1


def test_asks_for_each_permission_by_itself(clients, objects):
    Group.objects.get(name="Agents").permissions.remove(
        Permission.objects.get(codename="reply_ticket")
    )
    ticket = objects["support_ticket"]
    for name, status in (("reply", 403), ("claim", 302)):
        url = reverse(f"admin:support_ticket_{name}", args=[ticket.pk])
        assert clients["Agents"].post(url, {"text": "x"}).status_code == status
    url = reverse("admin:support_ticket_change", args=[ticket.pk])
    assert "Send and wait" not in clients["Agents"].get(url).content.decode()


def test_sends_strangers_to_the_login_page(clients):
    for role in ("anonymous", "customer"):
        answer = clients[role].get(reverse("admin:support_ticket_changelist"))
        assert answer["Location"].startswith("/admin/login/?next=")


def test_hides_permissions_and_passwords_from_supervisors(clients):
    person = UserFactory(username="ada", password="pbkdf2_sha256$1$salt$hash")
    url = reverse("admin:accounts_user_change", args=[person.pk])
    page = clients["Supervisors"].get(url).content.decode()
    assert "ada@example.com" in page
    for hidden in ("pbkdf2", "salt", "Permissions", "Superuser", "groups"):
        assert hidden not in page
    assert "Permissions" in clients["Administrators"].get(url).content.decode()


def test_lets_no_administrator_make_a_superuser(clients):
    person = UserFactory(username="eve", is_staff=True)
    url = reverse("admin:accounts_user_change", args=[person.pk])
    data = {
        "username": "eve",
        "plan": "pro",
        "token_balance": "5",
        "is_active": "on",
        "is_superuser": "on",
    }
    assert clients["Administrators"].post(url, data).status_code == 302
    person.refresh_from_db()
    assert (person.token_balance, person.is_superuser) == (5, False)


def test_lets_no_administrator_touch_a_superuser(clients):
    root = User.objects.create_superuser("root", password="x")
    for page in ("accounts_user_change", "auth_user_password_change", "accounts_user_delete"):
        url = reverse(f"admin:{page}", args=[root.pk])
        data = {"password1": "n3w-passw0rd", "password2": "n3w-passw0rd", "post": "yes"}
        assert clients["Administrators"].post(url, data).status_code == 403


def test_shows_each_role_its_own_sidebar(clients):
    url = reverse("admin:support_ticket_changelist")
    pages = {role: clients[role].get(url).content.decode() for role in AGENTS}
    assert "Failed logins" in pages["Administrators"]
    assert "Plans" in pages["Supervisors"]
    assert "Failed logins" not in pages["Supervisors"]
    for hidden in ("Plans", "Accounts", "API keys", "Canned replies"):
        assert f"<span>{hidden}</span>" not in pages["Agents"]


def test_shows_no_secret_of_a_key(clients, objects):
    key = objects["accounts_apikey"]
    for url in (
        reverse("admin:accounts_apikey_changelist"),
        reverse("admin:accounts_apikey_change", args=[key.pk]),
        reverse("admin:support_ticket_change", args=[objects["support_ticket"].pk]),
    ):
        page = clients["Administrators"].get(url).content.decode()
        assert key.secret not in page
        assert key.digest not in page


@pytest.fixture
def administrator(clients):
    return User.objects.get(username="administrators")


def count_permissions(person):
    return len(User.objects.get(pk=person.pk).get_all_permissions())


def test_lets_no_administrator_raise_a_role_above_themselves(clients, administrator):
    before = count_permissions(administrator)
    role = Group.objects.get(name="Administrators")
    url = reverse("admin:auth_group_change", args=[role.pk])
    everything = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
    data = {"name": role.name, "permissions": everything}
    assert clients["Administrators"].post(url, data).status_code == 200  # The form again.
    assert count_permissions(administrator) == before
    url = reverse("admin:auth_group_add")
    clients["Administrators"].post(url, data | {"name": "Everything"})
    assert not Group.objects.filter(name="Everything").exists()


def test_lets_an_administrator_give_what_they_have(clients):
    permission = Permission.objects.get(codename="reply_ticket")
    data = {"name": "Writers", "permissions": [str(permission.pk)]}
    clients["Administrators"].post(reverse("admin:auth_group_add"), data)
    assert list(Group.objects.get(name="Writers").permissions.all()) == [permission]


@pytest.fixture
def auditors():
    """A role that may do what no administrator may, as a superuser has made it."""
    role = Group.objects.create(name="Auditors")
    role.permissions.add(Permission.objects.get(codename="view_logentry"))
    return role


def test_lets_no_administrator_into_a_role_above_them(clients, administrator, auditors):
    url = reverse("admin:accounts_user_change", args=[administrator.pk])
    data = {
        "username": administrator.username,
        "plan": "pro",
        "token_balance": "5",
        "is_active": "on",
        "is_staff": "on",
        "groups": [str(group.pk) for group in (*administrator.groups.all(), auditors)],
    }
    answer = clients["Administrators"].post(url, data)
    assert "is not one of the available choices" in answer.content.decode()
    assert [group.name for group in administrator.groups.all()] == ["Administrators"]


@pytest.mark.parametrize("is_active", [True, False])
def test_lets_no_administrator_touch_who_may_do_more(clients, auditors, is_active):
    person = UserFactory(is_staff=True, is_active=is_active)
    person.groups.add(auditors)
    for page in ("accounts_user_change", "auth_user_password_change", "accounts_user_delete"):
        url = reverse(f"admin:{page}", args=[person.pk])
        data = {"password1": "n3w-passw0rd", "password2": "n3w-passw0rd", "post": "yes"}
        assert clients["Administrators"].post(url, data).status_code == 403
    for page in ("change", "delete"):
        url = reverse(f"admin:auth_group_{page}", args=[auditors.pk])
        data = {"name": "Auditors", "permissions": [], "post": "yes"}
        assert clients["Administrators"].post(url, data).status_code == 403
    assert auditors.permissions.exists()


def test_tells_supervisors_not_who_is_staff(clients):
    UserFactory(username="ada")
    url = reverse("admin:accounts_user_changelist")
    for query in ("is_staff__exact=1", "is_superuser__exact=1", "groups__id__exact=1"):
        answer = clients["Supervisors"].get(f"{url}?{query}")
        assert answer.status_code != 200, query
    assert clients["Administrators"].get(f"{url}?is_staff__exact=1").status_code == 200
    assert "ada" in clients["Supervisors"].get(url).content.decode()


def test_keeps_saved_views_to_their_owner(clients):
    views = {
        role: SavedView.objects.create(name=f"of {role}", owner=User.objects.get(username=name))
        for role, name in (("Agents", "agents"), ("Supervisors", "supervisors"))
    }
    shared = SavedView.objects.create(name="of all")
    url = reverse("admin:support_savedview_changelist")
    for role, other in (("Agents", "Supervisors"), ("Supervisors", "Agents")):
        page = clients[role].get(url).content.decode()
        assert views[role].name in page
        assert shared.name in page
        assert views[other].name not in page
        for name in ("change", "history", "delete"):
            hers = reverse(f"admin:support_savedview_{name}", args=[views[other].pk])
            answer = clients[role].get(hers, follow=True).content.decode()
            assert views[other].name not in answer


def test_lets_a_supervisor_share_but_not_give_away(clients):
    agent = User.objects.get(username="agents")
    url = reverse("admin:support_savedview_add")
    clients["Supervisors"].post(url, {"name": "For all", "query": "", "owner": ""})
    clients["Supervisors"].post(url, {"name": "Hers", "query": "", "owner": str(agent.pk)})
    assert [view.name for view in SavedView.objects.all()] == ["For all"]


@pytest.mark.parametrize(
    ("typed", "kept"), [(" Big  OUTAGE ", ["big outage"]), ("a, b", []), (",", [])]
)
def test_keeps_a_tag_as_agents_type_it(clients, typed, kept):
    clients["Supervisors"].post(reverse("admin:support_tag_add"), {"name": typed})
    assert [tag.name for tag in Tag.objects.all()] == kept

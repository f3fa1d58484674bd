"""A secret that is pasted into a ticket is stored nowhere; a working key of ours is told of."""

import logging
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys
from accounts.admission import admit
from accounts.models import APIKey
from accounts.tests.factories import APIKeyFactory, UserFactory
from ctxfy_support.tests.dump import dump_tables
from support.models import Ticket
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory, make_staff

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"
AWS = "AKIA" + "IOSFODNN7ABCDEFG"


@pytest.fixture
def administrator(db):
    return make_staff("Administrators", "dora")


def url_of(act, ticket):
    return reverse(f"admin:support_ticket_{act}", args=[ticket.pk])


def page_of(client, ticket):
    return client.get(url_of("change", ticket)).content.decode()


# --- Masked before anything is stored, logged or mailed ------------------------------------------


def test_counts_what_was_masked(api, post):
    response = post(
        message=f"{AWS} and card 4242 4242 4242 4242",
        context={"key": f"x {AWS}", "card": 4242424242424242, "n": 4242},
        request_ids=["req_1", AWS],
    )
    assert response["X-Redacted"] == "5"
    ticket = api.get(response["Location"]).json()
    masked = "[AWS access key AKIA… removed] and card [card number 4242… removed]"
    assert ticket["message"] == masked
    assert ticket["context"] == {
        "key": "x [AWS access key AKIA… removed]",
        "card": "[card number 4242… removed]",
        "n": 4242,
    }
    assert ticket["request_ids"] == ["req_1", "[AWS access key AKIA… removed]"]


def test_says_nothing_where_there_was_nothing_to_mask(post):
    assert "X-Redacted" not in post()


def test_masks_the_names_of_a_context_too(api, post):
    ticket = api.get(post(context={AWS: 1})["Location"]).json()
    assert ticket["context"] == {"[AWS access key AKIA… removed]": 1}


def test_is_turned_off_by_a_setting(api, post, settings):
    settings.REDACT_SECRETS = False
    key = APIKeyFactory()
    response = post(message=f"{AWS} {key.secret}")
    assert "X-Redacted" not in response
    assert api.get(response["Location"]).json()["message"] == f"{AWS} {key.secret}"
    assert (Ticket.objects.get().leaked_keys, APIKey.objects.get(pk=key.pk).leaked_at) == ([], None)


@pytest.mark.django_db(transaction=True)
def test_stands_in_no_table_log_or_mail(post, settings, caplog):
    settings.SUPPORT_EMAIL = settings.SUPPORT_EMAIL_FROM = "support@example.com"
    settings.SUPPORT_EMAIL_SENDER = "console"
    caplog.set_level(logging.DEBUG)
    secrets = [AWS, APIKeyFactory().secret, api_keys.generate()]
    pasted = " ".join(secrets)
    post(message=pasted, context={"n": pasted}, request_ids=secrets)
    post(message=pasted, context=pasted)
    (sent,) = mail.outbox
    seen = dump_tables() + caplog.text + sent.message().as_string() + sent.body
    assert "AKIA… removed" in seen
    for secret in secrets:
        assert secret not in seen
        assert secret[-12:] not in seen


@pytest.mark.django_db(transaction=True)
def test_a_retry_gets_the_first_ticket(api, settings):
    ticket = {"type": "x", "reply_address": "x", "message": f"my key {AWS}"}

    def send(**changes):
        headers = {"Idempotency-Key": "k"}
        return api.post(PATH, ticket | changes, "application/json", headers=headers)

    first, again = send(), send()
    assert (first["X-Redacted"], again["X-Redacted"]) == ("1", "1")
    assert (again["Idempotent-Replayed"], again.json()) == ("true", first.json())
    assert send(message="my key [AWS access key AKIA… removed]").json() == first.json()
    assert send(message="my key").status_code == 422


@pytest.mark.django_db(transaction=True)
def test_a_retry_of_what_came_before_the_masking_gets_its_ticket(api, settings):
    ticket = {"type": "x", "reply_address": "x", "message": f"my key {AWS}"}
    headers = {"Idempotency-Key": "k"}
    settings.REDACT_SECRETS = False
    first = api.post(PATH, ticket, "application/json", headers=headers)
    settings.REDACT_SECRETS = True
    again = api.post(PATH, ticket, "application/json", headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())


# --- A working key of ours -----------------------------------------------------------------------


def test_tells_agents_which_key_and_whose(desk, post):
    key = APIKeyFactory(name="production", user=UserFactory(username="eve"))
    post(message=f"With {key.secret} and again {key.secret} it fails")
    ticket = Ticket.objects.get()
    assert ticket.leaked_keys == [str(key.pk)]
    page = page_of(desk, ticket)
    for shown in (
        "A working API key stood in this ticket",
        f"{key.key_prefix}…",
        "production",
        "eve",
    ):
        assert shown in page
    assert "was found in it and masked" in page
    assert key.secret[12:] not in page


def test_tells_its_owner_since_when(api, client, post, api_key):
    key = APIKeyFactory(user=api_key.user)
    post(message=key.secret)
    (first, second) = api.get("/v1/api-keys").json()["api_keys"]
    assert (first["id"], second["leaked_at"]) == (str(key.pk), None)
    assert first["leaked_at"].endswith("Z")
    post(message=f"again {key.secret}")
    assert api.get("/v1/api-keys").json()["api_keys"][0]["leaked_at"] == first["leaked_at"]


def test_counts_the_key_that_the_request_itself_came_with(api, post, api_key):
    post(context={"key": api_key.secret})
    assert Ticket.objects.get().leaked_keys == [str(api_key.pk)]
    assert api.get("/v1/api-keys").json()["api_keys"][0]["leaked_at"]


@pytest.mark.parametrize("kind", ["unknown", "revoked", "expired", "inactive"])
def test_masks_a_key_that_opens_nothing_and_tells_nobody(post, desk, kind):
    past = timezone.now() - timedelta(days=1)
    key = APIKeyFactory(
        revoked_at=past if kind == "revoked" else None,
        expiration_date=past if kind == "expired" else None,
        user=UserFactory(is_active=kind != "inactive"),
    )
    secret = api_keys.generate() if kind == "unknown" else key.secret
    assert post(message=f"my {secret}")["X-Redacted"] == "1"
    ticket = Ticket.objects.get()
    assert ticket.message == f"my [Ctxfy API key {secret[:12]}… removed]"
    assert ticket.leaked_keys == []
    assert not APIKey.objects.exclude(leaked_at=None).exists()
    assert "API key stood in this ticket" not in page_of(desk, ticket)


def test_tells_the_caller_nothing_about_others_keys(post):
    known, unknown = APIKeyFactory().secret, api_keys.generate()
    first, second = post(message=known), post(message=unknown)
    assert first["X-Redacted"] == second["X-Redacted"]
    assert list(first.json()) == list(second.json())
    assert set(first.headers) == set(second.headers)


def test_says_so_in_the_mail(post, settings):
    settings.SUPPORT_EMAIL = settings.SUPPORT_EMAIL_FROM = "support@example.com"
    settings.SUPPORT_EMAIL_SENDER = "console"
    post(message=APIKeyFactory().secret)
    (sent,) = mail.outbox
    assert "A working API key of ours stood in the message" in sent.body
    assert "A working API key of ours stood in the message" in sent.alternatives[0].content


@pytest.mark.django_db(transaction=True)
def test_costs_two_statements_more_at_most(api, django_assert_max_num_queries):
    ticket = {"type": "x", "reply_address": "x"}
    api.post(PATH, ticket | {"message": "warm-up"}, "application/json")
    keys = " ".join(APIKeyFactory().secret for _ in range(5)) + " "
    unknown = " ".join(api_keys.generate() for _ in range(400))
    with django_assert_max_num_queries(4):
        api.post(PATH, ticket | {"message": unknown}, "application/json")
    api.post(PATH, ticket | {"message": keys}, "application/json")
    with django_assert_max_num_queries(4):
        api.post(PATH, ticket | {"message": keys + unknown}, "application/json")


# --- Its end -------------------------------------------------------------------------------------


def test_is_revoked_on_the_ticket_after_a_question(administrator, client):
    key = APIKeyFactory(user=UserFactory(username="eve"))
    ticket = TicketFactory(leaked_keys=[str(key.pk)])
    desk = log_in(administrator)
    assert "Revoke it" in page_of(desk, ticket)
    asked = desk.post(url_of("revoke_key", ticket), {"key": key.pk, "queue": "tab=all"})
    assert f"Revoke {key.key_prefix}… of eve?" in asked.content.decode()
    assert admit(key.secret)
    desk.post(url_of("revoke_key", ticket), {"key": key.pk, "confirmed": "1"})
    assert not admit(key.secret)
    assert client.get(PATH, headers={"Authorization": f"Bearer {key.secret}"}).status_code == 401
    page = page_of(desk, ticket)
    assert f"revoked the API key <b>{key.key_prefix}…</b> of <b>eve</b>" in page
    assert "it works no longer" in page
    assert "Revoke it" not in page
    assert LogEntry.objects.get(object_id=str(key.pk)).change_message == "Revoked"


@pytest.mark.parametrize("role", ["Agents", "Supervisors"])
def test_is_not_revoked_by_who_may_not_revoke_keys(role):
    key = APIKeyFactory()
    ticket = TicketFactory(leaked_keys=[str(key.pk)])
    desk = log_in(make_staff(role, "zoe"))
    page = page_of(desk, ticket)
    assert "A working API key stood in this ticket" in page
    assert "Revoke it" not in page
    for confirmed in ("", "1"):
        data = {"key": key.pk, "confirmed": confirmed}
        assert desk.post(url_of("revoke_key", ticket), data).status_code == 403
    assert admit(key.secret)


def test_only_what_stood_in_the_ticket_is_revoked_there(administrator):
    key, other = APIKeyFactory(), APIKeyFactory()
    ticket = TicketFactory(leaked_keys=[str(other.pk)])
    desk = log_in(administrator)
    for chosen in (key.pk, "", "x", "\x00"):
        data = {"key": chosen, "confirmed": "1"}
        assert desk.post(url_of("revoke_key", ticket), data).status_code == 404
    assert admit(key.secret)
    assert desk.get(url_of("revoke_key", ticket)).status_code == 302


@pytest.mark.parametrize("count", [1, 20])
def test_costs_the_page_one_query(desk, django_assert_num_queries, count):
    keys = APIKeyFactory.create_batch(count)
    with_keys = TicketFactory(leaked_keys=[str(key.pk) for key in keys])
    page_of(desk, with_keys)
    without_keys = TicketFactory(user=with_keys.user)
    with CaptureQueriesContext(connection) as without:
        page_of(desk, without_keys)
    with django_assert_num_queries(len(without) + 1):
        page_of(desk, with_keys)

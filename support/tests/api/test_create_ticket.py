"""POST /v1/support/tickets, as the contract's section 1 has it."""

import json
import re

import pytest
from django.core import mail
from django.db import connection

from support.models import Ticket

pytestmark = pytest.mark.django_db

RFC_3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def test_answers_with_exactly_four_keys(post):
    response = post()
    ticket = Ticket.objects.get()
    assert response.status_code == 201
    assert response["Location"] == f"/v1/support/tickets/{ticket.pk}"
    body = response.json()
    assert list(body) == ["id", "created_at", "status", "sent_at"]
    assert (body["id"], body["status"], body["sent_at"]) == (str(ticket.pk), "stored", None)
    assert re.fullmatch(RFC_3339, body["created_at"])


def test_stores_the_ticket_with_its_account(post, api_key):
    user = api_key.user
    post(type=" technical ", reply_address=" 123 Main St ", message=" a\r\n\tb ")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, reply_address, message, user_id, subscription_plan, token_balance"
            " FROM support_tickets"
        )
        assert cursor.fetchall() == [
            ("technical", "123 Main St", " a\r\n\tb ", user.pk, user.plan_id, user.token_balance)
        ]


def test_keeps_plan_and_balance_as_they_were(post, api_key):
    post()
    api_key.user.token_balance = 5
    api_key.user.plan_id = "free"
    api_key.user.save()
    ticket = Ticket.objects.get()
    assert (ticket.subscription_plan, ticket.token_balance) == ("pro", 1_000)
    assert ticket.api_key_prefix == api_key.key_prefix


def test_says_when_the_mail_was_accepted(post, settings):
    settings.SUPPORT_EMAIL = settings.SUPPORT_EMAIL_FROM = "support@example.com"
    settings.SUPPORT_EMAIL_SENDER = "console"
    body = post().json()
    assert body["status"] == "sent"
    assert re.fullmatch(RFC_3339, body["sent_at"])
    assert len(mail.outbox) == 1


def test_leaves_the_mail_to_the_workers(post, settings):
    settings.SUPPORT_EMAIL = settings.SUPPORT_EMAIL_FROM = "support@example.com"
    settings.SUPPORT_EMAIL_SENDER = "console"
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    body = post().json()
    assert (body["status"], body["sent_at"]) == ("pending", None)
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("email", "sendgrid_key", "google_user"), [("", "SG.x", "x"), ("support@example.com", "", "")]
)
@pytest.mark.parametrize("sender", ["sendgrid", "google"])
def test_only_stores_where_no_backend_is_configured(
    post, settings, email, sendgrid_key, google_user, sender
):
    settings.SUPPORT_EMAIL = email
    settings.SUPPORT_EMAIL_SENDER = sender
    settings.ANYMAIL = {**settings.ANYMAIL, "SENDGRID_API_KEY": sendgrid_key}
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = google_user
    assert post().json()["status"] == "stored"


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "x" * 64},
        {"type": "Ärger, 困った"},
        {"reply_address": "123 Main St"},
        {"reply_address": "x" * 320},
        {"reply_address": "https://chat.example.com/ada"},
        {"reply_address": "ada+support@mail.example.com"},
        {"reply_address": "x" * 64 + "@example.com"},
        {"message": "x" * 20_000},
        {"message": "\U0001f600" * 20_000},
        {"message": "\n\ttabs and\r\nlines\n"},
        {"message": "\u3000.\u3000"},
        {"unknown": {"deep": [1, None]}, "message": "x"},
    ],
)
def test_accepts(post, changes):
    assert post(**changes).status_code == 201


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reply_address": "ada@@example"}, "Invalid email format"),
        ({"reply_address": "ada@"}, "Invalid email format"),
        ({"reply_address": "ada@example.com, bob@example.com"}, "Invalid email format"),
        ({"reply_address": "Ada <ada@example.com>"}, "Invalid email format"),
        ({"reply_address": "x" * 65 + "@example.com"}, "Invalid email format"),
        ({"reply_address": "a@" + "x." * 126 + "example"}, "Invalid email format"),
        ({"reply_address": "x" * 321}, "Must not be longer than 320 characters"),
        ({"reply_address": "a\nb"}, "Must not contain control characters"),
        ({"reply_address": "   "}, "Must not be empty"),
        ({"type": ""}, "Must not be empty"),
        ({"type": "x" * 65}, "Must not be longer than 64 characters"),
        ({"type": "a\x85b"}, "Must not contain control characters"),
        ({"message": ""}, "Must not be empty"),
        ({"message": " "}, "Must not be empty"),
        ({"message": "\r\n\t \u00a0\u2003\u3000"}, "Must not be empty"),
        ({"message": "x" * 20_001}, "Must not be longer than 20000 characters"),
        ({"message": "a\x00b"}, "Must not contain control characters"),
        ({"message": "a\x1bb"}, "Must not contain control characters"),
        *[
            ({field: value}, "Must be a string")
            for field in ("type", "reply_address", "message")
            for value in (1, 1.5, True, None, [], ["x"], {"a": "b"}, 10**4_000)
        ],
    ],
)
def test_refuses(post, changes, message):
    response = post(**changes)
    assert response.status_code == 400
    (field,) = changes
    assert response.json()["details"] == [{"field": field, "message": message}]
    assert not Ticket.objects.exists()


def test_refuses_a_lone_surrogate(api):
    body = '{"type": "x", "reply_address": "\\ud800", "message": "\\udfff"}'
    response = api.post("/v1/support/tickets", body, content_type="application/json")
    assert response.status_code == 400
    assert [row["field"] for row in response.json()["details"]] == ["reply_address", "message"]


def test_names_every_bad_field_at_once(api):
    response = api.post("/v1/support/tickets", "{}", content_type="application/json")
    assert response.json() == {
        "error": "Bad Request",
        "message": "The request contains invalid parameters or malformed data",
        "code": 400,
        "details": [
            {"field": name, "message": "This field is required"}
            for name in ("type", "reply_address", "message")
        ],
    }


def test_takes_the_longest_message_with_every_character_escaped(api):
    body = json.dumps({"type": "x", "reply_address": "x", "message": "\U0001f600" * 20_000})
    assert len(body) > 240_000
    response = api.post("/v1/support/tickets", body, content_type="application/json")
    assert response.status_code == 201

"""The hand-written INSERT says the same as the model."""

import pytest
from django.db import connection
from django.utils import timezone

from accounts.tests.factories import APIKeyFactory
from support import ticket_insert
from support.models import Ticket

pytestmark = pytest.mark.django_db

FIELDS = {"type": "billing", "reply_address": "ada@example.com", "message": "Two\nlines: %s %%"}
# What the database says, or the statement makes of who sends.
TIMES = {"next_attempt_at", "leased_until"}


def submit(**kwargs):
    ticket, _ = Ticket.objects.submit(APIKeyFactory(name="CI"), FIELDS, **kwargs)
    return ticket


def test_knows_every_column_that_must_have_a_value():
    columns = {field.column for field in Ticket._meta.concrete_fields}
    named = {*ticket_insert._GIVEN, *ticket_insert._ALWAYS}
    assert named <= columns
    unnamed = [f for f in Ticket._meta.concrete_fields if f.column not in named]
    assert all(field.null for field in unnamed)


@pytest.mark.parametrize("mail", ["", "support@example.com"])
@pytest.mark.parametrize("leased", [False, True])
def test_stores_what_the_model_would(settings, mail, leased):
    settings.SUPPORT_EMAIL, settings.SUPPORT_EMAIL_SENDER = mail, "console"
    ticket = submit(leased=leased, idempotency_key="k", content_digest="d" * 64)
    stored = Ticket.objects.get()
    names = [f.attname for f in Ticket._meta.concrete_fields if f.attname not in TIMES]
    assert {name: getattr(stored, name) for name in names} == {
        name: getattr(ticket, name) for name in names
    }
    assert (stored.next_attempt_at is not None) == bool(mail)
    assert (stored.leased_until is not None) == leased
    twin = Ticket(**{name: getattr(ticket, name) for name in names if name != "id"})
    twin.idempotency_key = None
    twin.save()
    assert raw(twin.pk, names) == raw(ticket.pk, names)


def raw(pk, names):
    """A row as the database has it, but for what tells it from another."""
    same = [name for name in names if name not in {"id", "idempotency_key"}]
    with connection.cursor() as cursor:
        value = Ticket._meta.pk.get_db_prep_value(pk, connection)
        cursor.execute(f"SELECT {', '.join(same)} FROM support_tickets WHERE id = %s", [value])
        return cursor.fetchone()


def test_takes_the_times_of_the_mail_from_the_database(settings):
    settings.SUPPORT_EMAIL, settings.SUPPORT_EMAIL_SENDER = "support@example.com", "console"
    before = timezone.now()
    ticket = submit(leased=True)
    ticket.refresh_from_db()
    slack = timezone.timedelta(seconds=1)
    assert before - slack <= ticket.next_attempt_at <= timezone.now() + slack
    held = ticket.leased_until - ticket.next_attempt_at
    assert 19 < held.total_seconds() < 21

"""Tickets in the back-office."""

import pytest
from django.core import mail
from django.urls import reverse

from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/support/ticket/"


def change_url(ticket):
    return reverse("admin:support_ticket_change", args=[ticket.pk])


def test_lists_with_a_constant_number_of_queries(admin_client, django_assert_max_num_queries):
    TicketFactory.create_batch(30)
    with django_assert_max_num_queries(15):
        assert admin_client.get(LIST).status_code == 200


@pytest.mark.parametrize(
    "query", ["q=twice", "q=01a2", "email_status__exact=failed", "state__exact=new", "q=%00"]
)
def test_searches_and_filters(admin_client, query):
    TicketFactory()
    assert admin_client.get(f"{LIST}?{query}").status_code == 200


def test_finds_a_ticket_by_its_id(admin_client):
    wanted, other = TicketFactory.create_batch(2)
    page = admin_client.get(LIST, {"q": str(wanted.pk)}).content.decode()
    assert change_url(wanted) in page
    assert change_url(other) not in page


def test_moves_state_and_assignee_and_nothing_else(admin_client, admin_user):
    ticket = TicketFactory()
    data = {"state": "open", "assignee": admin_user.pk, "message": "forged", "type": "forged"}
    response = admin_client.post(change_url(ticket), data)
    assert response.status_code == 302
    ticket.refresh_from_db()
    assert (ticket.state, ticket.assignee) == ("open", admin_user)
    assert (ticket.message, ticket.type) == ("Charged twice in October.", "billing")


def test_does_not_overwrite_what_a_sender_records(admin_client):
    ticket = TicketFactory()
    page = admin_client.get(change_url(ticket))
    Ticket.objects.update(email_status="sent", attempts=4)
    admin_client.post(change_url(ticket), page.context["adminform"].form.initial | {"assignee": ""})
    ticket.refresh_from_db()
    assert (ticket.email_status, ticket.attempts) == ("sent", 4)


@pytest.mark.parametrize("action", ["add", "delete"])
def test_neither_adds_nor_deletes(admin_client, action):
    ticket = TicketFactory()
    arguments = [ticket.pk] if action == "delete" else []
    url = reverse(f"admin:support_ticket_{action}", args=arguments)
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert Ticket.objects.count() == 1


def send(admin_client, *tickets):
    data = {"action": "send_again", "_selected_action": [str(ticket.pk) for ticket in tickets]}
    return admin_client.post(LIST, data, follow=True).content.decode()


def test_sends_what_did_not_go_out(admin_client, provider):
    failed, stored, sent = (
        TicketFactory(email_status=status) for status in ("failed", "stored", "sent")
    )
    page = send(admin_client, failed, stored, sent)
    assert "2 sent, 0 queued, 1 left alone" in page
    assert len(provider.messages) == 2


def test_queues_where_workers_send(admin_client, provider, settings):
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    ticket = TicketFactory(email_status="failed")
    assert "0 sent, 1 queued" in send(admin_client, ticket)
    assert Ticket.objects.due().get() == ticket


def test_says_that_nothing_can_be_sent(admin_client):
    ticket = TicketFactory(email_status="stored")
    assert "No mail backend is configured" in send(admin_client, ticket)
    ticket.refresh_from_db()
    assert ticket.email_status == "stored"
    assert mail.outbox == []


def test_shows_a_message_as_text(admin_client):
    ticket = TicketFactory(message="<script>alert(1)</script>", type="<img src=x>")
    for url in (LIST, change_url(ticket)):
        page = admin_client.get(url).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x>" not in page

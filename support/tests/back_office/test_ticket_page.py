"""Everything about a ticket on one page."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.tests.factories import UserFactory
from support.models import Ticket
from support.tests.factories import TicketFactory
from support.triage import Tag

pytestmark = pytest.mark.django_db


def url_of(ticket, queue=""):
    return reverse("admin:support_ticket_change", args=[ticket.pk]) + f"?queue={queue}"


def page_of(client, ticket):
    answer = client.get(url_of(ticket))
    assert answer.status_code == 200
    return answer.content.decode()


def test_shows_the_message_as_it_was_written(desk):
    message = "<script>alert(1)</script>\n\n\tindented  &amp; <b>bold</b>\n{{ 7|add:1 }}"
    page = page_of(desk, TicketFactory(message=message))
    written = message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f'<div class="cx-message" data-message>{written}</div>' in page


def test_shows_the_account_then_and_now(desk):
    user = UserFactory(token_balance=7)
    ticket = TicketFactory(user=user, subscription_plan="free", token_balance=250_000)
    Ticket.objects.update(api_key_prefix="ctxfy_a1b2c3", api_key_name="production")
    page = page_of(desk, ticket)
    for shown in ("250,000", '<td class="is-changed">7</td>', '<td class="is-changed">pro</td>'):
        assert shown in page
    for shown in (user.username, f"user id {user.pk}", "production", "ctxfy_a1b2c3"):
        assert shown in page


@pytest.mark.parametrize(
    ("address", "judgement"),
    [
        ("ADA@halden.example", "The account&#x27;s own address"),
        ("eve@elsewhere.example", "Not the account&#x27;s address"),
        ("123 Main St", "Not an e-mail address"),
        ("ada@halden.example\nBcc: x@y.z", "Not an e-mail address"),
    ],
)
def test_judges_the_reply_address(desk, address, judgement):
    user = UserFactory(email="ada@halden.example")
    assert judgement in page_of(desk, TicketFactory(user=user, reply_address=address))


@pytest.mark.parametrize(
    ("address", "account", "judgement"),
    [
        # To Unicode's case folding they are one domain, to the mail two.
        ("ada@straße.example", "ada@strasse.example", "Not the account&#x27;s address"),
        ("ada@xn--strae-oqa.example", "ada@Straße.example", "The account&#x27;s own address"),
        ("Ada@HALDEN.example", "ada@halden.example", "The account&#x27;s own address"),
        ("ada@halden.example", "", "Not the account&#x27;s address"),
        ("ada@halden.example", "Ada <ada@halden.example>", "Not the account&#x27;s address"),
    ],
)
def test_compares_what_a_mail_would_be_addressed_to(desk, address, account, judgement):
    ticket = TicketFactory(user=UserFactory(email=account), reply_address=address)
    assert judgement in page_of(desk, ticket)


def test_shows_every_attempt_to_mail_it(desk):
    log = [
        {"at": "2026-11-24T07:00:00.000+00:00", "ms": 5012, "outcome": "failed",
         "kind": "transient", "code": "deadline", "text": "The mail server did not answer in time"},
        {"at": "2026-11-24T07:00:30.000+00:00", "ms": 87, "outcome": "sent",
         "kind": "", "code": "", "text": ""},
    ]  # fmt: skip
    ticket = TicketFactory(email_status="sent", sent_at=timezone.now(), attempt_log=log)
    page = page_of(desk, ticket)
    for shown in ("did not answer in time", "(transient deadline)", "24 Nov 07:00:30, 87 ms"):
        assert shown in page
    assert "Send the mail now" not in page


def test_offers_to_send_what_was_only_stored(desk, use_mail, smtp_server):
    use_mail(smtp_server)
    page = page_of(desk, TicketFactory(email_status="stored"))
    assert "it is mailed only when you ask for it" in page
    assert "Send the mail now" in page


def test_lists_other_tickets_of_the_account(desk):
    ticket = TicketFactory()
    TicketFactory.create_batch(7, user=ticket.user, type="earlier")
    page = page_of(desk, ticket)
    assert page.count("<span>earlier</span>") == 5
    assert f"account={ticket.user_id}" in page


def test_leads_to_the_neighbours_in_the_queue(desk):
    now = timezone.now()
    first, second, third = (
        TicketFactory(type="billing", created_at=now - timedelta(hours=hours), priority=priority)
        for hours, priority in ((1, 4), (9, 2), (5, 2))
    )
    TicketFactory(type="other")
    queue = "tab%3Dopen%26type%3Dbilling"
    context = desk.get(url_of(second, queue)).context
    assert (context["before"], context["after"]) == (first.pk, third.pk)
    assert desk.get(url_of(first, queue)).context["before"] is None
    assert desk.get(url_of(third, queue)).context["after"] is None
    newest = desk.get(url_of(third, "tab%3Dall%26type%3Dbilling")).context
    assert (newest["before"], newest["after"]) == (first.pk, second.pk)


@pytest.mark.parametrize("order", ["next", "newest", "oldest"])
def test_leads_to_the_neighbours_in_a_search(desk, order):
    now = timezone.now()
    for hours, priority in ((1, 4), (9, 2), (5, 2), (3, 3)):
        created_at = now - timedelta(hours=hours)
        TicketFactory(message="xylophone", created_at=created_at, priority=priority)
        TicketFactory(message="trumpet", created_at=created_at, priority=priority)
    queue = f"tab=open&q=xylophone&order={order}"
    listed = desk.get(reverse("admin:support_ticket_changelist") + f"?{queue}").context["rows"]
    ids = [None, *(ticket.pk for ticket in listed), None]
    for before, ticket, after in zip(ids, listed, ids[2:], strict=False):
        context = desk.get(url_of(ticket, quote(queue))).context
        assert (context["before"], context["after"]) == (before, after)


def test_leads_on_from_a_ticket_that_left_the_search(desk, agent):
    now = timezone.now()
    first, second, third = (
        TicketFactory(message="xylophone", created_at=now - timedelta(hours=hours))
        for hours in (9, 5, 1)
    )
    Ticket.objects.filter(pk=second.pk).change(agent, state="solved")
    context = desk.get(url_of(second, quote("tab=open&q=xylophone"))).context
    assert (context["before"], context["after"]) == (first.pk, third.pk)


def test_asks_once_what_a_search_finds(desk, django_assert_max_num_queries):
    """Walking an index until a neighbour matches would read the whole table for a rare word."""
    ticket = TicketFactory(message="xylophone")
    with django_assert_max_num_queries(30) as queries:
        desk.get(url_of(ticket, quote("tab=all&q=xylophone")))
    asked = [query["sql"] for query in queries if "xylophone" in query["sql"].lower()]
    asked = [sql for sql in asked if not sql.startswith("EXPLAIN")]  # Which reads no row.
    assert len([sql for sql in asked if "support_tickets" in sql]) == 1


ACTS = ["claim", "release", "triage", "note", "reply", "resend"]


@pytest.mark.parametrize("act", ACTS)
def test_leads_from_the_address_of_an_act_to_the_ticket(desk, act):
    ticket = TicketFactory()
    url = reverse(f"admin:support_ticket_{act}", args=[ticket.pk]) + "?queue=tab%3Dmine"
    answer = desk.get(url, follow=True)
    assert answer.redirect_chain == [(url_of(ticket, "tab%3Dmine"), 302)]
    assert "Nothing was sent or changed." in answer.content.decode()
    assert not ticket.events.exists()


@pytest.mark.parametrize("path", ["x/reply/", "bulk/", "export/", "views/", "views/1/remove/"])
def test_leads_from_the_address_of_other_forms_to_the_queue(desk, path):
    answer = desk.get(f"/admin/support/ticket/{path}", follow=True)
    assert answer.redirect_chain == [(reverse("admin:support_ticket_changelist"), 302)]


def test_leads_to_the_ticket_when_the_session_ended_before_the_answer(client, agent):
    agent.set_password("correct horse")
    agent.save()
    ticket = TicketFactory()
    url = reverse("admin:support_ticket_reply", args=[ticket.pk])
    login = client.post(url, {"text": "Hello", "seen": "0"})["Location"]
    answer = client.post(login, {"username": "bea", "password": "correct horse"}, follow=True)
    assert answer.redirect_chain[-1] == (url_of(ticket), 302)
    assert "Nothing was sent or changed." in answer.content.decode()


QUEUES = ["%00", "tab=%00", "%2500", "q=%28", "page=x", "%F0%9F", "a" * 9_000]


@pytest.mark.parametrize("queue", QUEUES)
def test_never_breaks_on_a_strange_queue(desk, queue):
    assert desk.get(url_of(TicketFactory(), queue)).status_code == 200


@pytest.mark.parametrize("pk", ["x", "%00", "01a20c5d-797b-7721-a7a7-b8996c551e97", "1" * 300])
def test_knows_no_other_page(desk, pk):
    assert desk.get(f"/admin/support/ticket/{pk}/change/").status_code == 404


def test_does_not_grow_in_queries(desk, agent, django_assert_max_num_queries):
    ticket = TicketFactory()
    url = url_of(ticket, "tab%3Dopen")
    ticket.add_note(agent, "first")
    desk.get(url)
    with django_assert_max_num_queries(22) as few:
        desk.get(url)
    for number in range(30):
        ticket.add_note(agent, str(number))
        TicketFactory(user=ticket.user)
        ticket.tags.add(Tag.objects.create(name=str(number)))
    with django_assert_max_num_queries(len(few)):
        desk.get(url)


def test_takes_no_post(desk):
    ticket = TicketFactory()
    assert desk.post(url_of(ticket), {"state": "closed"}).status_code == 405
    assert Ticket.objects.get().state == "new"

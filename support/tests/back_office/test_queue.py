"""The queue: tabs, filters that combine, search, order, pages, saved views."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.tests.factories import UserFactory
from support.models import SavedView, Ticket
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory, make_staff
from support.triage import Tag

pytestmark = pytest.mark.django_db

LIST = reverse("admin:support_ticket_changelist")


def look(client, **params):
    """The page, after it has answered 200."""
    answer = client.get(f"{LIST}?{urlencode(params)}")
    assert answer.status_code == 200
    return answer


def found(client, **params):
    """The tickets listed, in their order."""
    return look(client, **{"tab": "all"} | params).context["rows"]


def test_shows_what_an_agent_needs_to_choose(desk, colleague):
    ticket = TicketFactory(
        message="\n  Charged twice  \n\nSince October.", assignee=colleague, priority=4
    )
    page = look(desk, tab="all").content.decode()
    account = ticket.user.username
    for shown in ("Charged twice", account, "pro", "billing", "New", "cem", "Pending", "Urgent"):
        assert shown in page
    assert "Since October" not in page


def test_has_a_tab_for_each_question(desk, agent, colleague):
    mine = TicketFactory(assignee=agent, state="open", email_status="sent")
    free = TicketFactory(email_status="sent")
    waiting = TicketFactory(assignee=colleague, state="waiting", email_status="sent")
    trouble = TicketFactory(assignee=colleague, state="open", email_status="failed")
    solved = TicketFactory(assignee=agent, email_status="sent")
    Ticket.objects.filter(pk=solved.pk).change(agent, state="solved")
    assert found(desk, tab="mine") == [mine]
    assert found(desk, tab="unassigned") == [free]
    assert set(found(desk, tab="open")) == {mine, free, trouble}
    assert found(desk, tab="waiting") == [waiting]
    assert found(desk, tab="mail") == [trouble]
    assert len(found(desk, tab="all")) == 5
    counts = look(desk).context["tab_counts"]
    assert counts == {"mine": 1, "unassigned": 1, "open": 3, "waiting": 1, "mail": 1}


def test_combines_filters(desk, agent):
    wanted = TicketFactory(type="technical", subscription_plan="free", priority=4, assignee=agent)
    wanted.tags.add(tag := Tag.objects.create(name="bug"))
    filters = {"type": "technical", "plan": "free", "priority": "4", "assignee": "me"}
    filters |= {"state": "new", "email": "pending", "tag": str(tag.pk), "age": "day"}
    filters |= {"account": str(wanted.user_id)}
    for name in ("type", "plan", "priority"):
        TicketFactory(
            **{"type": "technical", "subscription_plan": "free"}
            | {"type": {"type": "billing"}, "plan": {"subscription_plan": "pro"}, "priority": {}}[
                name
            ]
        )
    assert found(desk, **filters) == [wanted]
    for name in filters:
        assert wanted in found(desk, **{name: filters[name]})


def test_filters_by_assignee_and_age(desk, colleague):
    old = TicketFactory(assignee=colleague, created_at=timezone.now() - timedelta(days=8))
    new = TicketFactory()
    assert found(desk, assignee=str(colleague.pk)) == [old]
    assert found(desk, assignee="nobody") == [new]
    assert found(desk, age="over-week") == [old]
    assert found(desk, age="week") == [new]


NONSENSE = [
    "\x00",
    "a\x00b",
    "*",
    "(",
    "[a-",
    "\\",
    "%",
    "-1",
    "9" * 40,
    "null",
    "²",
    "١٢",
    "x" * 5_000,
]


@pytest.mark.parametrize(
    "name",
    ["tab", "q", "state", "priority", "type", "plan", "email", "age", "assignee", "tag", "account",
     "order", "page"],
)  # fmt: skip
def test_never_breaks_on_nonsense(desk, name):
    TicketFactory()
    for value in NONSENSE:
        look(desk, **{name: value})


def test_says_which_filter_made_no_sense(desk):
    assert "no such value: priority" in look(desk, priority="urgent").content.decode()


def test_finds_by_id(desk):
    wanted, _ = TicketFactory.create_batch(2)
    assert found(desk, q=str(wanted.pk)) == [wanted]


def test_finds_by_words_of_the_message(desk):
    wanted = TicketFactory(message="The webhook signature does not match\nsince Tuesday")
    TicketFactory(message="The invoice does not match")
    assert found(desk, q="signature") == [wanted]
    assert found(desk, q="match Tuesday") == [wanted]
    assert found(desk, q="signature invoice") == []


def test_finds_by_account_and_by_address(desk):
    wanted = TicketFactory(user=UserFactory(username="zoe.wilk"), reply_address="office@halden.org")
    TicketFactory()
    for text in ("zoe.wilk", "zoe", "ZOE.WILK@example.com", "office@halden.org"):
        assert found(desk, q=text) == [wanted], text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its plan")
def test_has_an_index_for_accounts(desk, django_assert_max_num_queries):
    UserFactory.create_batch(20)
    with django_assert_max_num_queries(30) as queries:
        look(desk, q="zoe.wilk")
    (sql,) = {
        query["sql"] for query in queries if "LIKE" in query["sql"] and "email" in query["sql"]
    }
    with connection.cursor() as cursor:
        # Twenty rows are quicker to read than any index.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan on accounts_user_by_name_start" in plan
    assert "Index Scan on accounts_user_by_email_start" in plan


@pytest.mark.skipif(connection.vendor != "postgresql", reason="stems need PostgreSQL's search")
def test_finds_other_forms_of_a_word(desk):
    wanted = TicketFactory(message="Invoices were duplicated")
    assert found(desk, q="invoice duplicate") == [wanted]
    assert found(desk, q='"duplicated invoices"') == []


SEARCHES = ["word " * 1_200, "a " * 1_200, "x" * 20_000, "a & b | !c :*", "'\"", "--", "\ud83d"]


@pytest.mark.parametrize("text", SEARCHES)
def test_never_breaks_on_a_search(desk, text):
    TicketFactory()
    encoded = text.encode("utf-8", "surrogatepass")
    assert desk.get(f"{LIST}?{urlencode({'q': encoded})}").status_code == 200


def test_puts_the_urgent_then_the_oldest_first(desk):
    now = timezone.now()
    rows = [(2, 5), (4, 1), (2, 9), (4, 3)]
    tickets = [TicketFactory(priority=p, created_at=now - timedelta(hours=h)) for p, h in rows]
    assert found(desk, tab="open") == [tickets[3], tickets[1], tickets[2], tickets[0]]
    assert found(desk, tab="open", order="newest")[0] == tickets[1]
    assert found(desk, tab="all") == [tickets[1], tickets[3], tickets[0], tickets[2]]


def test_keeps_its_order_when_searching(desk):
    now = timezone.now()
    rows = [(2, 5), (4, 9), (2, 1)]
    tickets = [TicketFactory(priority=p, created_at=now - timedelta(hours=h)) for p, h in rows]
    assert found(desk, q="twice", tab="all") == [tickets[2], tickets[0], tickets[1]]
    assert found(desk, q="twice", tab="all", order="oldest")[0] == tickets[1]
    assert found(desk, q="twice", tab="open") == [tickets[1], tickets[0], tickets[2]]


def test_goes_page_by_page(desk):
    TicketFactory.create_batch(120)
    pages = [found(desk, page=str(number)) for number in (1, 2, 3, 99)]
    assert [len(page) for page in pages] == [50, 50, 20, 20]
    assert len({ticket.pk for page in pages for ticket in page}) == 120


def test_counts_no_further_than_it_must(desk, monkeypatch):
    monkeypatch.setattr("support.back_office.queue.COUNT_LIMIT", 3)
    TicketFactory.create_batch(5)
    page = look(desk, tab="all")
    assert "More than" in page.content.decode()
    assert page.context["queue"].pages == 1


def test_does_not_grow_in_queries(desk, django_assert_max_num_queries):
    TicketFactory.create_batch(5)
    look(desk, tab="all")
    with django_assert_max_num_queries(21) as few:
        look(desk, tab="all", q="twice")
    for ticket in TicketFactory.create_batch(40):
        ticket.tags.add(Tag.objects.create(name=str(ticket.pk)))
    with django_assert_max_num_queries(len(few)):
        look(desk, tab="all", q="twice")


def save_view(client, **data):
    return client.post(reverse("admin:support_ticket_save_view"), data, follow=True)


def test_keeps_a_view_for_its_agent_alone(desk, agent, colleague):
    save_view(desk, name="Mine, billing", query="tab=mine&type=billing")
    view = SavedView.objects.get()
    assert (view.owner, view.query) == (agent, "tab=mine&type=billing")
    assert "Mine, billing" in look(desk).content.decode()
    assert "Mine, billing" not in look(log_in(colleague)).content.decode()
    url = reverse("admin:support_ticket_remove_view", args=[view.pk])
    assert log_in(colleague).post(url).status_code == 404
    desk.post(url)
    assert not SavedView.objects.exists()


def test_shares_a_view_where_a_supervisor_says_so(desk, colleague):
    supervisor = log_in(make_staff("Supervisors"))
    save_view(supervisor, name="Urgent", query="priority=4", shared="on")
    assert "Urgent" in look(desk).content.decode()
    save_view(desk, name="Private", query="", shared="on")
    assert SavedView.objects.get(name="Private").owner is not None


@pytest.mark.parametrize("data", [{"name": ""}, {"name": "x" * 61}, {"name": "\x00"}])
def test_keeps_no_view_without_a_name(desk, data):
    assert save_view(desk, **data).status_code == 200
    assert not SavedView.objects.exists()


def test_drops_nonsense_from_a_view(desk):
    save_view(desk, name="x", query="tab=lost&type=billing&evil=<script>")
    assert SavedView.objects.get().query == "tab=open&type=billing"


def test_posts_nothing_to_the_list(desk):
    assert desk.post(LIST, {}).status_code == 405

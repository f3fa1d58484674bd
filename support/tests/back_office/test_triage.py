"""Claiming, assigning, moving, tagging: one by one and in bulk, all of it in the timeline."""

import pytest
from django.urls import reverse

from support.models import Ticket, TicketEvent
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory, make_staff
from support.triage import Tag

pytestmark = pytest.mark.django_db


def act(client, name, ticket, **data):
    url = reverse(f"admin:support_ticket_{name}", args=[ticket.pk])
    return client.post(url, data, follow=True)


def bulk(client, *tickets, **data):
    ids = [str(ticket.pk) for ticket in tickets]
    url = reverse("admin:support_ticket_bulk")
    return client.post(url, {"tickets": ids} | data, follow=True).content.decode()


def timeline(ticket):
    """Rows (who, what, from, to), oldest first."""
    return [
        (str(event.actor), event.kind, event.before, event.after) for event in ticket.events.all()
    ]


def form(ticket, **changes):
    """What the page's triage form posts after these changes."""
    shown = {
        "state": ticket.state,
        "priority": str(ticket.priority),
        "assignee": str(ticket.assignee_id or "nobody"),
        "tags": ", ".join(tag.name for tag in ticket.tags.all()),
    }
    return shown | {f"was_{name}": value for name, value in shown.items()} | changes


def test_takes_a_ticket(desk, agent):
    ticket = TicketFactory()
    act(desk, "claim", ticket)
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.state) == (agent, "open")
    assert timeline(ticket) == [("bea", "claim", "nobody", "bea"), ("bea", "state", "new", "open")]


def test_shows_others_who_has_it(desk, agent, colleague):
    ticket = TicketFactory()
    act(desk, "claim", ticket)
    page = log_in(colleague).get(reverse("admin:support_ticket_change", args=[ticket.pk]))
    assert "bea has this ticket" in page.content.decode()


def test_asks_before_a_second_claim(desk, agent, colleague):
    ticket = TicketFactory()
    act(desk, "claim", ticket)
    cem = log_in(colleague)
    page = act(cem, "claim", ticket).content.decode()
    assert "bea has this ticket, since" in page
    assert Ticket.objects.get().assignee == agent
    act(cem, "claim", ticket, instead_of=agent.pk)
    assert Ticket.objects.get().assignee == colleague
    assert timeline(ticket)[-1] == ("cem", "claim", "bea", "cem")


def test_asks_again_when_a_third_was_faster(desk, agent, colleague, admin_user):
    ticket = TicketFactory(assignee=admin_user)
    page = act(desk, "claim", ticket, instead_of=colleague.pk).content.decode()
    assert "admin has this ticket" in page
    assert Ticket.objects.get().assignee == admin_user


def test_lets_one_of_two_copies_claim(agent, colleague):
    ticket = TicketFactory()
    copies = [Ticket.objects.get(pk=ticket.pk) for _ in range(2)]
    assert copies[0].claim_for(agent, instead_of=None)
    assert not copies[1].claim_for(colleague, instead_of=None)
    assert Ticket.objects.get().assignee == agent


def test_gives_a_ticket_back(desk, agent, colleague):
    mine, other = TicketFactory(assignee=agent), TicketFactory(assignee=colleague)
    for ticket in (mine, other):
        act(desk, "release", ticket)
    assert [Ticket.objects.get(pk=t.pk).assignee for t in (mine, other)] == [None, colleague]


def make_tags(*names):
    Tag.objects.bulk_create([Tag(name=name) for name in names])


def test_changes_what_the_agent_changed(desk, agent, colleague):
    make_tags("bug", "vip")
    ticket = TicketFactory()
    changes = {"state": "open", "priority": "4", "assignee": str(colleague.pk), "tags": "bug, VIP"}
    act(desk, "triage", ticket, **form(ticket, **changes))
    ticket = Ticket.objects.get()
    assert (ticket.state, ticket.priority, ticket.assignee) == ("open", 4, colleague)
    assert {tag.name for tag in ticket.tags.all()} == {"bug", "vip"}
    assert timeline(ticket) == [
        ("bea", "state", "new", "open"),
        ("bea", "priority", "Normal", "Urgent"),
        ("bea", "assignee", "nobody", "cem"),
        ("bea", "tags", "", "bug, vip"),
    ]


def test_leaves_alone_what_others_changed_meanwhile(desk, agent):
    ticket = TicketFactory()
    page = form(ticket)
    Ticket.objects.all().change(agent, state="waiting", add_tags=[Tag.objects.create(name="new")])
    act(desk, "triage", ticket, **page | {"priority": "3"})
    ticket = Ticket.objects.get()
    assert (ticket.state, ticket.priority, ticket.tags.count()) == ("waiting", 3, 1)


def test_leaves_no_trace_of_nothing(desk):
    ticket = TicketFactory()
    before = ticket.updated_at
    act(desk, "triage", ticket, **form(ticket))
    ticket.refresh_from_db()
    assert (ticket.updated_at, TicketEvent.objects.count()) == (before, 0)


def test_never_changes_what_the_customer_wrote(desk):
    ticket = TicketFactory()
    forged = {"message": "forged", "type": "forged", "reply_address": "x@y.z", "token_balance": 9}
    act(desk, "triage", ticket, **form(ticket, state="open"), **forged)
    ticket.refresh_from_db()
    assert (ticket.message, ticket.type) == ("Charged twice in October.", "billing")
    assert (ticket.reply_address, ticket.token_balance) == ("ada@example.com", 1_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "lost"},
        {"priority": "9"},
        {"priority": "x"},
        {"assignee": "999999"},
        {"assignee": "-1"},
        {"tags": "x" * 41},
        {"tags": "\x00"},
    ],
)
def test_refuses_what_makes_no_sense(desk, changes):
    ticket = TicketFactory()
    page = act(desk, "triage", ticket, **form(ticket, **changes))
    assert page.status_code == 200
    assert TicketEvent.objects.count() == 0


def test_assigns_to_staff_alone(desk):
    ticket = TicketFactory()
    act(desk, "triage", ticket, **form(ticket, assignee=str(ticket.user.pk)))
    assert Ticket.objects.get().assignee is None


def test_knows_since_when_a_ticket_is_solved(desk, agent):
    ticket = TicketFactory()
    for state, solved in (("solved", True), ("closed", True), ("open", False)):
        Ticket.objects.all().change(agent, state=state)
        ticket.refresh_from_db()
        assert (ticket.solved_at is not None) is solved


def test_keeps_a_note_from_the_customer(desk, api, api_key):
    ticket = TicketFactory(user=api_key.user)
    act(desk, "note", ticket, text="He is <b>angry</b>")
    page = desk.get(reverse("admin:support_ticket_change", args=[ticket.pk])).content.decode()
    assert "He is &lt;b&gt;angry&lt;/b&gt;" in page
    assert "angry" not in api.get(f"/v1/support/tickets/{ticket.pk}").content.decode()


def test_moves_the_state_that_the_api_shows(desk, api, api_key):
    ticket = TicketFactory(user=api_key.user)
    before = api.get(f"/v1/support/tickets/{ticket.pk}").json()
    act(desk, "triage", ticket, **form(ticket, state="solved"))
    after = api.get(f"/v1/support/tickets/{ticket.pk}").json()
    assert (before["state"], after["state"]) == ("new", "solved")
    assert before["updated_at"] < after["updated_at"]


def test_tells_the_customer_nothing_internal(desk, api, api_key):
    make_tags("difficult")
    ticket = TicketFactory(user=api_key.user)
    before = api.get(f"/v1/support/tickets/{ticket.pk}").json()
    act(desk, "triage", ticket, **form(ticket, priority="4", tags="difficult"))
    act(desk, "note", ticket, text="Careful")
    assert api.get(f"/v1/support/tickets/{ticket.pk}").json() == before


def test_changes_many_at_once(desk, agent, colleague, django_assert_max_num_queries):
    make_tags("outage")
    tickets = TicketFactory.create_batch(20)
    changes = {"state": "open", "assignee": str(colleague.pk), "add_tags": "outage"}
    url = reverse("admin:support_ticket_bulk")
    with django_assert_max_num_queries(30):
        desk.post(url, {"tickets": [str(ticket.pk) for ticket in tickets]} | changes)
    assert (
        Ticket.objects.filter(state="open", assignee=colleague, tags__name="outage").count() == 20
    )
    assert TicketEvent.objects.count() == 60


def test_takes_many_but_nobody_elses(desk, agent, colleague):
    free, taken = TicketFactory(), TicketFactory(assignee=colleague)
    page = bulk(desk, free, taken, do="claim")
    assert "1 taken. 1 stayed with whoever has them." in page
    assert Ticket.objects.get(pk=taken.pk).assignee == colleague


def test_takes_tags_away(desk):
    make_tags("a", "b")
    ticket = TicketFactory()
    bulk(desk, ticket, add_tags="a, b")
    bulk(desk, ticket, remove_tags="a")
    assert [tag.name for tag in Ticket.objects.get().tags.all()] == ["b"]


@pytest.mark.parametrize("ids", [[], ["x"], ["\x00"], ["01a20c5d-797b-7721-a7a7-b8996c551e97"]])
def test_says_that_nothing_is_ticked(desk, ids):
    url = reverse("admin:support_ticket_bulk")
    page = desk.post(url, {"tickets": ids, "state": "open"}, follow=True).content.decode()
    assert "No ticket is ticked" in page


def test_sends_what_did_not_go_out(desk, provider):
    failed, stored, sent = (
        TicketFactory(email_status=status) for status in ("failed", "stored", "sent")
    )
    assert "2 sent, 0 queued, 1 left alone" in bulk(desk, failed, stored, sent, do="send")
    assert len(provider.messages) == 2
    assert timeline(failed) == [("bea", "resend", "failed", "")]
    assert timeline(sent) == []


def test_queues_where_workers_send(desk, provider, settings):
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    ticket = TicketFactory(email_status="failed")
    assert "0 sent, 1 queued" in bulk(desk, ticket, do="send")
    assert Ticket.objects.due().get() == ticket


def test_says_that_nothing_can_be_sent(desk):
    ticket = TicketFactory(email_status="stored")
    assert "No mail backend is configured" in bulk(desk, ticket, do="send")
    ticket.refresh_from_db()
    assert (ticket.email_status, TicketEvent.objects.count()) == ("stored", 0)


def test_sends_one_mail_again_from_its_page(desk, provider):
    ticket = TicketFactory(email_status="failed", last_error="message 554: refused")
    assert "accepted it" in act(desk, "resend", ticket).content.decode()
    assert len(provider.messages) == 1


@pytest.mark.parametrize("name", ["claim", "triage", "note", "reply", "resend", "release"])
def test_knows_no_other_ticket(desk, name):
    for pk in ("01a20c5d-797b-7721-a7a7-b8996c551e97", "nonsense", "\x00"):
        url = reverse("admin:support_ticket_note", args=["PK"]).replace("PK", pk)
        assert desk.post(url.replace("note", name), {"text": "x"}).status_code == 404


def test_does_nothing_on_a_get(desk):
    ticket = TicketFactory()
    for name in ("claim", "triage", "note", "reply", "resend", "release"):
        url = reverse(f"admin:support_ticket_{name}", args=[ticket.pk])
        assert desk.get(url).status_code == 302
    assert TicketEvent.objects.count() == 0


def test_leaves_alone_what_is_so_already(desk, agent):
    ticket = TicketFactory(state="open", priority=4, assignee=agent)
    ticket.tags.add(Tag.objects.create(name="bug"))
    changes = {"state": "open", "priority": "4", "assignee": str(agent.pk), "add_tags": "bug"}
    assert "0 of 1 changed" in bulk(desk, ticket, **changes)
    assert TicketEvent.objects.count() == 0


@pytest.mark.parametrize(("name", "field"), [("triage", "tags"), ("bulk", "add_tags")])
def test_lets_an_agent_use_the_tags_there_are(desk, name, field):
    make_tags("bug")
    ticket = TicketFactory()
    if name == "bulk":
        page = bulk(desk, ticket, priority="4", **{field: "bug, outtage"})
    else:
        answer = act(desk, name, ticket, **form(ticket, priority="4", **{field: "bug, outtage"}))
        page = answer.content.decode()
    assert "There is no tag “outtage”" in page
    assert [tag.name for tag in Tag.objects.all()] == ["bug"]
    assert Ticket.objects.get().priority == Ticket().priority
    assert TicketEvent.objects.count() == 0


def test_lets_a_supervisor_make_tags_on_the_way(desk):
    ticket = TicketFactory()
    supervisor = log_in(make_staff("Supervisors"))
    act(supervisor, "triage", ticket, **form(ticket, tags="outage"))
    assert [tag.name for tag in Ticket.objects.get().tags.all()] == ["outage"]
    # An agent may leave alone, and take away, what is there.
    act(desk, "triage", ticket, **form(ticket, tags="", was_tags="outage"))
    assert not Ticket.objects.get().tags.exists()

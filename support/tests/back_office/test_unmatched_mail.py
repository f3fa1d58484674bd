"""Mail without a ticket: listed oldest first, attached or discarded, each once."""

from datetime import timedelta
from itertools import count

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.tests.factories import APIKeyFactory
from support.back_office import mails as mails_module
from support.models import InboundMail, Message, Ticket
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory
from support.tests.payloads import PAYLOADS

pytestmark = pytest.mark.django_db

LIST = reverse("admin:support_ticket_mail")
digests = count()


def make_mail(**changes):
    return InboundMail.objects.create(
        **{
            "way": "imap",
            "digest": f"{next(digests):064}",
            "outcome": "unmatched",
            "reason": "It was sent to no ticket's address.",
            "sender": "ada@example.com",
            "recipient": "support@example.com",
            "subject": "Re: Charged twice",
            "text": "It happened again.",
        }
        | changes
    )


def look(client, address=LIST):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def settle(client, act, mail, **data):
    url = reverse(f"admin:support_ticket_mail_{act}", args=[mail.pk])
    return client.post(url, data, follow=True).content.decode()


def test_shows_what_waits_oldest_first(desk):
    now = timezone.now()
    part = {"name": "trace.log", "type": "text/plain", "size": 2_048}
    make_mail(subject="Second", received_at=now)
    make_mail(subject="First", received_at=now - timedelta(hours=3), text="<b>Twice</b>\n  again",
              quoted="On Monday you wrote:\n> Hello", attachments=[part])  # fmt: skip
    make_mail(subject="Settled", outcome="stored")
    page = look(desk)
    assert page.index("First") < page.index("Second")
    for shown in ("ada@example.com", "support@example.com", "It was sent to no ticket",
                  "3 hours ago", "&lt;b&gt;Twice&lt;/b&gt;\n  again", "trace.log",
                  "text/plain, 2.0 KB", "1 attachment left out", ", 2 lines"):  # fmt: skip
        assert shown in page
    assert "<details" in page.partition("On Monday")[0].rpartition("again")[2]
    assert "Settled" not in page


def test_counts_in_the_sidebar(desk):
    assert "Every mail has its ticket." in look(desk)
    assert "bg-primary-100" not in look(desk)
    make_mail()
    make_mail()
    start = look(desk, reverse("admin:index")).partition("Mail without a ticket")[2]
    assert start.partition("bg-primary-100")[2].partition("</span>")[0].strip().endswith("2")


def test_shows_a_mail_that_could_not_be_read(desk):
    make_mail(text="", raw="Subject: =?broken")
    page = look(desk)
    assert "It could not be read." in page
    assert "Subject: =?broken</div>" in page


def test_shows_all_as_text(desk):
    for payload in PAYLOADS:
        texts = dict.fromkeys(["text", "quoted", "raw"], payload)
        part = {"name": payload, "type": payload, "size": payload}
        make_mail(subject=payload, sender=payload, recipient=payload, reason=payload[:200],
                  attachments=[part], **texts)  # fmt: skip
    address = LIST
    while address:
        page = look(desk, address)
        assert not [text for text in PAYLOADS if text.startswith("<") and text in page]
        rest = page.partition('rel="next" href="')[2]
        address = LIST + rest.partition('"')[0] if rest else ""


def test_becomes_a_message_of_the_ticket_that_is_typed(desk, agent):
    ticket = TicketFactory(email_status="sent", state="solved", solved_at=timezone.now())
    mail = make_mail(quoted="> Hello", attachments=[{"name": "a.png", "type": "image/png"}])
    page = settle(desk, "attach", mail, typed=f"https://desk.example/x/{ticket.pk}/change/?queue=")
    assert "It is a message of" in page
    message = Message.objects.get()
    assert (message.ticket, message.via, message.sender) == (ticket, "mail", "ada@example.com")
    assert (message.text, message.quoted) == ("It happened again.", "> Hello")
    assert message.attachments[0]["name"] == "a.png"
    ticket.refresh_from_db()
    assert (ticket.state, ticket.solved_at) == ("open", None)
    assert list(ticket.events.values_list("kind", flat=True)) == ["message", "state"]
    mail.refresh_from_db()
    assert (mail.outcome, mail.ticket, mail.message) == ("stored", ticket, message)
    assert (mail.text, mail.quoted, mail.settled_by) == ("", "", agent)


def test_is_mailed_to_support_alone(desk, provider, settings):
    settle(desk, "attach", make_mail(), typed=str(TicketFactory(email_status="sent").pk))
    assert len(provider.messages) == 1
    assert Message.objects.get().email_status == "sent"


def test_suggests_recent_tickets_of_the_senders_address(desk, monkeypatch):
    monkeypatch.setattr(mails_module, "RECENT_TICKETS", 3)
    TicketFactory(reply_address="ada@example.com", message="Long ago")
    theirs = TicketFactory(reply_address="ADA@example.com", message="Lately")
    TicketFactory(reply_address="eve@example.com", message="Somebody else")
    TicketFactory(reply_address="ada@example.com.evil.example", message="Another domain")
    make_mail(sender="Ada@Example.com")
    page = look(desk)
    assert "Attach to: Lately" in page
    for other in ("Long ago", "Somebody else", "Another domain"):
        assert other not in page
    settle(desk, "attach", InboundMail.objects.get(), ticket=str(theirs.pk), typed="")
    assert Message.objects.get().ticket == theirs


def test_names_the_ticket_that_a_held_mail_was_sent_to(desk):
    ticket = TicketFactory(reply_address="somebody@else.example", message="Flooded")
    make_mail(ticket=ticket, reason="More than 20 mails came for its ticket within an hour.")
    page = look(desk)
    assert "Attach to: Flooded" in page
    assert "the mail was sent to its address" in page


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("", "Paste a ticket&#x27;s id"),
        ("x" * 5_000, "Paste a ticket&#x27;s id"),
        ("01a20c5d-797b-7721-a7a7-b8996c551e97", "There is no ticket 01a20c5d"),
    ],
)
def test_knows_no_other_ticket(desk, typed, answer):
    assert answer in settle(desk, "attach", make_mail(), typed=typed)
    assert InboundMail.objects.get().outcome == "unmatched"


def test_is_not_attached_to_a_closed_ticket(desk):
    ticket = TicketFactory(state="closed", solved_at=timezone.now())
    page = settle(desk, "attach", make_mail(), typed=str(ticket.pk))
    assert "That ticket is closed." in page
    assert not Message.objects.exists()
    assert InboundMail.objects.get().outcome == "unmatched"


def test_suggests_no_closed_ticket(desk):
    TicketFactory(reply_address="ada@example.com", state="closed", message="Over")
    held = TicketFactory(reply_address="eve@x.example", state="closed", message="Held")
    make_mail(ticket=held)
    page = look(desk)
    assert ">Over<" not in page
    assert "Takes no message:" in page
    assert "Attach to this" not in page


def test_is_discarded_and_put_back(desk, agent):
    mail = make_mail()
    page = settle(desk, "discard", mail)
    assert "Discarded: “Re: Charged twice” from ada@example.com." in page
    mail.refresh_from_db()
    assert (mail.outcome, mail.settled_by, mail.text) == ("discarded", agent, "It happened again.")
    assert "It waits again" in settle(desk, "restore", mail)
    mail.refresh_from_db()
    assert (mail.outcome, mail.settled_by, mail.settled_at) == ("unmatched", None, None)


def test_tells_the_second_of_two_agents(desk, colleague):
    ticket, mail = TicketFactory(email_status="sent"), make_mail()
    settle(desk, "attach", mail, typed=str(ticket.pk))
    cem = log_in(colleague)
    for act in ("attach", "discard", "restore"):
        page = settle(cem, act, mail, typed=str(ticket.pk))
        assert "bea attached it to a ticket a moment ago. Nothing was changed." in page
    assert "You attached it" in settle(desk, "attach", mail, typed=str(ticket.pk))
    assert (Message.objects.count(), ticket.events.count()) == (1, 1)
    mail.refresh_from_db()
    assert mail.outcome == "stored"


def test_masks_what_came_before_masking_was_on(desk):
    key = APIKeyFactory()
    ticket = TicketFactory(email_status="sent")
    settle(desk, "attach", make_mail(text=f"See {key.secret}"), typed=str(ticket.pk))
    assert key.secret not in Message.objects.get().text
    assert Ticket.objects.get().leaked_keys == [str(key.pk)]


def test_goes_on_behind_the_last_mail_whatever_became_of_it(desk, monkeypatch):
    monkeypatch.setattr(mails_module, "PER_PAGE", 2)
    moment = timezone.now()
    made = sorted((make_mail(received_at=moment) for _ in range(5)), key=lambda mail: mail.pk)
    first = desk.get(LIST)
    assert [row.mail for row in first.context["rows"]] == made[:2]
    settle(desk, "discard", made[1])
    second = desk.get(f"{LIST}?after={first.context['next']}")
    assert [row.mail for row in second.context["rows"]] == made[2:4]
    assert [row.mail for row in desk.get(f"{LIST}?after={made[3].pk}").context["rows"]] == made[4:]


@pytest.mark.parametrize("after", ["x", "%00", "9" * 40, "01a20c5d-797b-7721-a7a7-b8996c551e97"])
def test_never_breaks_on_a_strange_address(desk, after):
    make_mail()
    assert "It happened again." in look(desk, f"{LIST}?after={after}&discarded={after}")
    for act in ("attach", "discard", "restore"):
        assert desk.post(f"{LIST}{after}/{act}/").status_code == 404


def test_leads_from_the_address_of_an_act_to_the_list(desk):
    url = reverse("admin:support_ticket_mail_discard", args=[make_mail().pk])
    answer = desk.get(url, follow=True)
    assert answer.redirect_chain == [(LIST, 302)]
    assert "Nothing was sent or changed." in answer.content.decode()


def test_does_not_grow_in_queries(desk, django_assert_max_num_queries):
    held = TicketFactory()
    make_mail(ticket=held)
    look(desk)
    with django_assert_max_num_queries(15) as few:
        look(desk)
    for number in range(50):
        TicketFactory(reply_address=f"customer{number}@example.com")
        make_mail(sender=f"customer{number}@example.com", ticket=held if number % 2 else None)
    with django_assert_max_num_queries(len(few) + 1):  # Where the newest tickets end.
        look(desk)


def test_shows_no_more_of_a_mail_than_a_page_holds(desk):
    for _ in range(20):
        make_mail(text="a" * 200_000, raw="b" * 200_000)
    page = look(desk)
    assert "Only the first 20,000 characters are shown" in page
    assert len(page) < 1_000_000

"""The conversation on a ticket's page and in the queue: who wrote what, when and which way."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.tests.factories import APIKeyFactory, UserFactory
from support.answering import write_reply
from support.back_office import thread as thread_module
from support.hearing import Heard, write_customer_message
from support.masking import Masking
from support.messages import Via
from support.models import Message, Ticket
from support.tests.back_office.test_queue import look
from support.tests.back_office.test_replies import answer, page_of
from support.tests.back_office.test_unmatched_mail import make_mail, settle
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory
from support.timeline import EventKind, make_event

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket():
    user = UserFactory(username="ada", email="ada@halden.example")
    return TicketFactory(user=user, email_status="sent", message="It began in October.")


def write(ticket, text="It happened again.", **changes):
    """The customer's message, as the API or a mail brings it."""
    heard = Heard(**{"text": text, "via": Via.API} | changes)
    return write_customer_message(ticket.pk, heard, leased=False)[0]


def write_mail(ticket, sender="ada@example.com", text="By mail now.", **changes):
    return write(ticket, text, via=Via.MAIL, sender=sender, **changes)


def card(page, text):
    """The entry of the page's thread that begins to say this."""
    before, _, after = page.partition("What was said and done")[2].partition(f">{text}")
    return before.rpartition("<li")[2] + text + after.partition("</li>")[0]


def test_is_one_thread_in_the_order_of_its_writing(desk, agent, ticket):
    write(ticket, "First <b>again</b>")
    write_reply(ticket, agent, "Second", leased=False)
    ticket.add_note(agent, "Third")
    write_mail(ticket, text="Fourth")
    page = page_of(desk, ticket)
    said = ["It began in October.", "First &lt;b&gt;again&lt;/b&gt;", "Second", "Third", "Fourth"]
    places = [page.index(f">{text}</div>") for text in said]
    assert places == sorted(places)


def test_says_who_wrote_which_way(desk, agent, ticket, use_mail, smtp_server):
    use_mail(smtp_server)
    write(ticket, "Through the API")
    write_reply(ticket, agent, "In answer", leased=False)
    write_mail(ticket)
    page = page_of(desk, ticket)
    for text, words in (
        ("It began in October.", "wrote by API"),
        ("Through the API", "<strong>ada</strong>"),
        ("Through the API", "wrote by API"),
        ("In answer", "answered by mail to ada@example.com"),
        ("By mail now.", "<strong>ada@example.com</strong>"),
        ("By mail now.", "wrote by mail"),
    ):
        assert words in card(page, text)


def test_says_that_an_answer_waits_for_the_api(desk, agent, ticket):
    write_reply(ticket, agent, "In answer", leased=False)
    page = card(page_of(desk, ticket), "In answer")
    assert "answered, to be read through the API" in page
    assert "Not mailed" in page


@pytest.mark.parametrize(
    ("sender", "mark"),
    [
        ("ada@example.com", ""),
        ("ADA@Example.com", ""),
        ("ada@halden.example", "The account&#x27;s address, not the reply address"),
        ("eve@elsewhere.example", "Not the ticket&#x27;s reply address"),
        ("ada@example.com.evil.example", "Not the ticket&#x27;s reply address"),
        ("", "Not the ticket&#x27;s reply address"),
    ],
)
def test_marks_a_mail_from_another_address(desk, ticket, sender, mark):
    write_mail(ticket, sender)
    page = card(page_of(desk, ticket), "By mail now.")
    assert (mark in page) if mark else ("cx-trust" not in page)


def test_folds_the_quoted_part_away(desk, ticket):
    write_mail(ticket, quoted="On Monday you wrote:\n> <i>Hello</i>")
    page = page_of(desk, ticket)
    folded = page.partition('<details class="cx-quoted">')[2].partition("</details>")[0]
    assert "Quoted text" in folded
    assert "2 lines" in folded
    assert "&gt; &lt;i&gt;Hello&lt;/i&gt;" in folded


def test_names_what_was_left_out(desk, ticket):
    parts = [{"name": "<b>.png", "type": "image/png", "size": 1_048_576}, {"size": "odd"}]
    write_mail(ticket, attachments=parts)
    page = card(page_of(desk, ticket), "2 attachments left out")
    assert "&lt;b&gt;.png" in page
    assert "image/png, 1.0 MB" in page
    assert "of no known type, not measured" in page_of(desk, ticket)


def test_says_what_was_masked(desk, ticket):
    key = APIKeyFactory(user=UserFactory(username="eve"))
    masking = Masking()
    text = masking.mask(f"Both fail: {key.secret} and 4111 1111 1111 1111")
    assert masking.count == 2
    write(ticket, text, leaked_keys=[str(key.pk)])
    write(ticket, "I removed [the file removed] by hand")
    page = page_of(desk, ticket)
    assert f"Masked before it was stored: Ctxfy API key {key.key_prefix}…, card number" in page
    assert page.count("Masked before it was stored") == 1
    # The line stands below the message that the key stood in.
    assert page.count("was found in it and masked") == 1
    assert page.index("Both fail") < page.index("was found in it and masked")


def bounce(reply, reason="Bounced: 550 5.1.1 no such user"):
    """What a bounce does to the answer that it is about."""
    Message.objects.filter(pk=reply.pk).update(email_status="failed", last_error=reason)
    before = Ticket.objects.get(pk=reply.ticket_id).state
    make_event(
        reply.ticket_id,
        None,
        EventKind.BOUNCE,
        before,
        "open",
        text=reason.removeprefix("Bounced: "),
        message_id=reply.pk,
    ).save()
    Ticket.objects.filter(pk=reply.ticket_id).update(state="open")


def test_tells_a_bounce_and_sends_again(desk, provider, ticket):
    answer(desk, ticket, text="In answer")
    reply = Message.objects.get()
    bounce(reply)
    page = page_of(desk, ticket)
    assert "The answer to ada@example.com came back</strong>: 550 5.1.1 no such user." in page
    assert "from <b>waiting</b> to <b>open</b>" in page
    assert "Somebody" not in page
    said = card(page, "In answer")
    for shown in ("Came back", "Bounced: 550 5.1.1 no such user", "Send again"):
        assert shown in said
    desk.post(reverse("admin:support_ticket_resend", args=[ticket.pk]), {"reply": str(reply.pk)})
    reply.refresh_from_db()
    assert (reply.email_status, len(provider.messages)) == ("sent", 2)


def test_tells_a_bounce_of_what_went_to_support(desk, ticket):
    for message in (None, write(ticket)):
        message_id = message and message.pk
        kind, text = EventKind.BOUNCE, "552 5.2.2 mailbox full"
        make_event(ticket.pk, None, kind, "new", "new", text=text, message_id=message_id).save()
    page = page_of(desk, ticket)
    assert page.count("The mail to support came back</strong>: 552 5.2.2 mailbox full.") == 2
    assert "The answer" not in page
    assert "Somebody" not in page


def test_tells_an_automatic_answer(desk, agent, ticket):
    make_event(
        ticket.pk, None, EventKind.AUTOMATIC, text="a@x.example: Out of <b>office</b>"
    ).save()
    make_event(ticket.pk, None, EventKind.AUTOMATIC).save()
    page = page_of(desk, ticket)
    assert "moves nothing: a@x.example: Out of &lt;b&gt;office&lt;/b&gt;" in page
    assert page.count("An automatic mail came</strong>") == 2
    assert "Somebody" not in page


def test_tells_what_the_provider_says_of_an_answer(desk, agent, ticket):
    reply = write_reply(ticket, agent, "In answer", leased=False)
    text = "The recipient of this mail reported it as spam"
    make_event(ticket.pk, None, EventKind.AUTOMATIC, text=text, message_id=reply.pk).save()
    page = page_of(desk, ticket)
    assert f"The mail provider says</strong> of the answer to ada@example.com: {text}" in page
    assert "An automatic mail came" not in page


def test_says_that_a_mail_has_no_text(desk, ticket):
    write_mail(ticket, text="")
    assert "It has no text." in page_of(desk, ticket)


def test_says_when_it_was_delivered(desk, provider, ticket):
    answer(desk, ticket, text="In answer")
    assert ">Sent</span>" in card(page_of(desk, ticket), "In answer")
    Message.objects.update(delivered_at=timezone.now())
    assert f">Delivered {timezone.now():%-d %b %Y}" in card(page_of(desk, ticket), "In answer")


def test_sends_a_customers_message_to_support_again(desk, provider, ticket):
    message = write(ticket)
    Message.objects.update(email_status="failed", last_error="message 554: refused")
    page = card(page_of(desk, ticket), "It happened again.")
    assert "Not mailed to support" in page
    assert "message 554: refused" in page
    desk.post(reverse("admin:support_ticket_resend", args=[ticket.pk]), {"reply": str(message.pk)})
    assert len(provider.messages) == 1
    assert "a message&#x27;s mail again" in page_of(desk, ticket).replace("'", "&#x27;")


def test_says_what_a_message_moved(desk, ticket):
    for number, write_one in enumerate((write, write_mail)):
        Ticket.objects.filter(pk=ticket.pk).update(state="waiting")
        write_one(ticket)
        page = page_of(desk, ticket)
        assert page.count("That moved it from <b>waiting</b> to <b>open</b>") == number + 1
    assert "Somebody" not in page


def test_says_who_attached_a_mail(desk, colleague, ticket):
    settle(log_in(colleague), "attach", make_mail(text="Lost"), typed=str(ticket.pk))
    assert "attached by cem" in card(page_of(desk, ticket), "Lost")


def test_leads_to_what_came_before(desk, agent, ticket, monkeypatch):
    monkeypatch.setattr(thread_module, "ENTRIES_SHOWN", 2)
    events = [ticket.add_note(agent, f"Note {number}") for number in range(5)]
    page = page_of(desk, ticket)
    assert [f"Note {number}" in page for number in range(5)] == [False] * 3 + [True] * 2
    assert f"&amp;before={events[3].pk}" in page
    url = reverse("admin:support_ticket_change", args=[ticket.pk])
    earlier = desk.get(f"{url}?before={events[3].pk}").content.decode()
    assert [f"Note {number}" in earlier for number in range(5)] == [False, True, True, False, False]
    assert 'id="reply-form"' not in earlier
    assert "Go to the newest ones" in earlier


@pytest.mark.parametrize("before", ["x", "%00", "-1", "9" * 40, "0"])
def test_never_breaks_on_a_strange_place(desk, ticket, before):
    url = reverse("admin:support_ticket_change", args=[ticket.pk])
    assert desk.get(f"{url}?before={before}").status_code == 200


def test_costs_as_many_queries_with_50_messages(desk, agent, ticket, django_assert_max_num_queries):
    def converse():
        write(ticket)
        write_reply(ticket, agent, "In answer", leased=False)
        settle(desk, "attach", make_mail(), typed=str(ticket.pk))

    converse()
    page_of(desk, ticket)
    with django_assert_max_num_queries(20) as queries:
        page_of(desk, ticket)
        few = len(queries)
    for _ in range(16):
        converse()
    with django_assert_max_num_queries(few):
        page_of(desk, ticket)


# --- The composer --------------------------------------------------------------------------------


def test_offers_three_ways_to_send(desk, provider, ticket):
    page = page_of(desk, ticket)
    for value, words in (
        ("waiting", "Send and wait"),
        ("solved", "Send and solve"),
        ("open", "Send and keep open"),
    ):
        assert f'<button name="then" value="{value}"' in page
        assert f">{words}</button>" in page
    assert 'value="waiting" class="cx-button cx-primary"' in page


def test_says_where_the_customers_answer_goes(desk, provider, ticket, settings):
    assert "goes to the support mailbox, not here" in page_of(desk, ticket)
    settings.SUPPORT_EMAIL_REPLIES = "replies@example.com"
    assert "by mail or API, comes back here" in page_of(desk, ticket)


def test_says_that_the_answer_goes_elsewhere_than_the_last_mail_came_from(desk, provider, ticket):
    write_mail(ticket, "eve@elsewhere.example")
    words = "last message came from eve@elsewhere.example. Your answer goes to ada@example.com."
    assert words in page_of(desk, ticket)
    write_mail(ticket, "ada@example.com")
    assert "last message came from" not in page_of(desk, ticket)


def test_asks_where_the_customer_wrote_meanwhile(desk, provider, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(state="waiting")
    write(ticket, "Wait, I <b>found</b> it.\nThanks")
    page = answer(desk, ticket, text="Is it this?", then="solved").content.decode()
    question = page.partition("data-asks")[2].partition("</section>")[0]
    assert "The customer wrote</b> a moment ago: “Wait, I &lt;b&gt;found&lt;/b&gt; it.”" in question
    assert "Does your answer still fit what they wrote?" in question
    assert "moved it" not in question
    assert not Message.objects.filter(via="back-office").exists()
    assert 'name="then" value="solved">Send anyway and solve</button>' in question
    seen = str(ticket.events.last().pk)
    answer(desk, ticket, text="Is it this?", then="solved", seen=seen, confirmed="1")
    ticket.refresh_from_db()
    assert ticket.state == "solved"


def test_names_the_address_of_a_mail_that_came_meanwhile(desk, provider, ticket):
    write_mail(ticket, "eve@elsewhere.example")
    page = answer(desk, ticket).content.decode()
    assert "ago, by mail from eve@elsewhere.example: “By mail now.”" in page


def test_asks_about_the_colleague_too(desk, colleague, provider, ticket):
    write(ticket)
    write_reply(ticket, colleague, "Mended.", leased=False)
    page = answer(desk, ticket).content.decode()
    assert "The customer wrote" in page
    assert "cem answered a moment ago: “Mended.”" in page
    assert "Two that differ confuse a customer." in page


# --- The queue -----------------------------------------------------------------------------------


def test_shows_in_the_queue_who_wrote_last(desk, agent, colleague, ticket):
    assert (
        "wrote" not in look(desk).content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    )
    write(ticket)
    assert "The customer wrote a moment ago" in look(desk).content.decode()
    write_reply(ticket, colleague, "In answer", leased=False)
    assert "cem wrote last, a moment ago" in look(desk, tab="all").content.decode()
    write_reply(ticket, agent, "In answer", leased=False)
    page = look(desk, tab="all").content.decode()
    assert "You wrote last" in page
    assert "cx-unanswered" not in page
    write_mail(ticket)
    assert "cx-unanswered" in look(desk).content.decode()
    Ticket.objects.filter(pk=ticket.pk).change(agent, state="solved")
    page = look(desk, tab="all").content.decode()
    assert "The customer wrote last" in page
    assert "cx-unanswered" not in page


def test_costs_the_queue_one_query(desk, ticket, django_assert_max_num_queries):
    look(desk)
    with django_assert_max_num_queries(25) as queries:
        look(desk)
        few = len(queries)
    write(ticket)
    for other in TicketFactory.create_batch(49, email_status="sent"):
        write(other)
    with django_assert_max_num_queries(few + 1):
        page = look(desk).content.decode()
    assert page.count("cx-unanswered") == 50

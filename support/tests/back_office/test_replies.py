"""An agent's answer: one mail to one mailbox, with every guarantee of the tickets' mail."""

import contextlib
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from ctxfy_support.tests.scripted_smtp_server import Answer
from support.answering import SomethingHappenedError, write_reply
from support.delivery import attempts
from support.mail_channel import MailChannel
from support.models import CannedReply, Message, Ticket
from support.tests.conftest import log_in
from support.tests.delivery.test_ticket_email import parts
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


def answer(client, ticket, text="It is <b>mended</b> & fine.", **data):
    url = reverse("admin:support_ticket_reply", args=[ticket.pk])
    return client.post(url, {"text": text, "seen": "0"} | data, follow=True)


def page_of(client, ticket):
    url = reverse("admin:support_ticket_change", args=[ticket.pk])
    return client.get(url).content.decode()


@pytest.fixture
def ticket():
    return TicketFactory(email_status="sent", message="Charged <i>twice</i>\nin October")


def test_goes_to_the_customer_and_nobody_else(desk, provider, ticket, settings):
    page = answer(desk, ticket).content.decode()
    assert "Your answer went to ada@example.com" in page
    mail = parts(provider)
    assert mail["to"] == ["ada@example.com"]
    assert (mail["from"], mail["reply_to"]) == (
        settings.SUPPORT_EMAIL_FROM,
        settings.SUPPORT_EMAIL,
    )
    assert mail["subject"] == f"Re: [billing] Support ticket {ticket.pk}"
    assert mail["text"].startswith("It is <b>mended</b> & fine.")
    assert "> Charged <i>twice</i>\n> in October" in mail["text"]
    assert "It is &lt;b&gt;mended&lt;/b&gt; &amp; fine." in mail["html"]
    assert "<i>" not in mail["html"]


def test_stands_in_the_thread_of_the_tickets_mail(desk, provider, ticket):
    answer(desk, ticket)
    headers = parts(provider)["headers"]
    (reply,) = Message.objects.all()
    assert headers["Message-ID"] == f"<{reply.pk}@tickets.ctxfy>"
    assert headers["In-Reply-To"] == f"<{ticket.pk}@tickets.ctxfy>"
    assert headers["References"] == f"<{ticket.pk}@tickets.ctxfy>"
    assert headers["Date"] == f"{reply.created_at:%a, %d %b %Y %H:%M:%S} +0000"
    assert "Auto-Submitted" not in headers


def test_follows_the_answer_before(desk, provider, ticket):
    answer(desk, ticket)
    provider.messages.clear()
    answer(desk, ticket, seen=str(ticket.events.last().pk))
    first, second = Message.objects.order_by("created_at")
    headers = parts(provider)["headers"]
    assert headers["Message-ID"] == f"<{second.pk}@tickets.ctxfy>"
    assert headers["In-Reply-To"] == f"<{first.pk}@tickets.ctxfy>"
    assert headers["References"] == f"<{ticket.pk}@tickets.ctxfy> <{first.pk}@tickets.ctxfy>"


def test_makes_the_ticket_wait(desk, agent, provider, ticket):
    Ticket.objects.filter(pk=ticket.pk).change(agent, state="solved")
    answer(desk, ticket, seen=str(ticket.events.last().pk))
    ticket.refresh_from_db()
    assert (ticket.state, ticket.solved_at) == ("waiting", None)
    assert ticket.first_replied_at is not None
    assert [event.kind for event in ticket.events.all()] == ["state", "reply", "state"]
    assert 'cx-mail-sent cx-end">Sent' in page_of(desk, ticket)


def test_shows_in_the_api_as_state_alone(desk, provider, api, api_key):
    ticket = TicketFactory(user=api_key.user, email_status="sent")
    answer(desk, ticket, text="a secret of ours")
    shown = api.get(f"/v1/support/tickets/{ticket.pk}")
    assert shown.json()["state"] == "waiting"
    assert shown.json()["updated_at"] > shown.json()["created_at"]
    assert "secret" not in shown.content.decode()


@pytest.mark.parametrize(
    "address", ["123 Main St", "a@x.example, b@x.example", "a@x.example\nBcc: v@x"]
)
def test_goes_to_no_address_that_is_not_one_mailbox(desk, provider, address):
    ticket = TicketFactory(reply_address=address, email_status="sent")
    assert "no answer can be mailed" in page_of(desk, ticket)
    page = answer(desk, ticket).content.decode()
    assert "Your answer is kept: the customer reads it through the API." in page
    assert Message.objects.get().email_status == "stored"
    assert resend("--due")[-1] == "sent=0 pending=0 failed=0"
    assert not provider.messages


def test_is_kept_without_a_backend(desk, ticket):
    answer(desk, ticket)
    reply = Message.objects.get()
    assert (reply.email_status, reply.lease_token) == ("stored", None)


@pytest.mark.parametrize(
    ("then", "state", "is_solved"),
    [("", "waiting", False), ("solved", "solved", True), ("open", "open", False)],
)
def test_decides_the_state(desk, ticket, then, state, is_solved):
    answer(desk, ticket, then=then)
    ticket.refresh_from_db()
    assert (ticket.state, ticket.solved_at is not None) == (state, is_solved)
    moves = ticket.events.filter(kind="state").values_list("before", "after")
    assert list(moves) == [("new", state)]


def test_knows_no_other_state(desk, ticket):
    answer(desk, ticket, then="closed")
    assert not Message.objects.exists()


@pytest.mark.parametrize("text", ["", "   ", "\x00", "x" * 20_001])
def test_refuses_an_answer_that_says_nothing(desk, provider, ticket, text):
    assert answer(desk, ticket, text=text).status_code == 200
    assert not Message.objects.exists()


def test_asks_when_somebody_answered_meanwhile(desk, colleague, provider, ticket):
    answer(desk, ticket)
    cem = log_in(colleague)
    page = answer(cem, ticket, text="Second answer").content.decode()
    assert "bea answered" in page
    assert "Second answer</textarea>" in page
    assert Message.objects.count() == 1
    seen = str(ticket.events.last().pk)
    answer(cem, ticket, text="Second answer", seen=seen, confirmed="1")
    assert Message.objects.count() == 2


def test_asks_when_another_has_the_ticket(desk, colleague, provider):
    ticket = TicketFactory(assignee=colleague)
    assert "cem has this ticket" in answer(desk, ticket).content.decode()
    assert not Message.objects.exists()
    answer(desk, ticket, confirmed="1")
    assert Message.objects.count() == 1


def test_says_that_another_answered_before_that_she_has_it(desk, colleague, provider, ticket):
    ticket.claim_for(colleague, instead_of=None)
    answer(log_in(colleague), ticket, seen=str(ticket.events.last().pk))
    page = answer(desk, ticket).content.decode()
    assert page.index("cem answered") < page.index("cem has this ticket")
    assert page.index("cem answered") < page.index("data-message")
    assert Message.objects.count() == 1


def test_is_sent_once_when_clicked_twice(desk, provider, ticket):
    for _ in range(2):
        answer(desk, ticket)
    assert (Message.objects.count(), len(provider.messages)) == (1, 1)


def test_lets_one_of_two_answers_through(agent, colleague, provider, ticket):
    copies = [Ticket.objects.get(pk=ticket.pk) for _ in range(2)]
    write_reply(copies[0], agent, "one", leased=False, seen=0)
    with pytest.raises(SomethingHappenedError):
        write_reply(copies[1], colleague, "two", leased=False, seen=0)


def test_is_kept_and_sent_later_when_the_server_is_away(desk, use_mail, smtp_server, ticket):
    use_mail(smtp_server)
    smtp_server.stop()
    page = answer(desk, ticket).content.decode()
    assert "is kept and will be sent" in page
    smtp_server.start()
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    row, failure = attempts.attempt_next()
    assert (type(row), failure) == (Message, None)
    assert len(smtp_server.messages) == 1


def test_is_left_to_the_workers_where_they_send(desk, provider, ticket, settings):
    settings.SUPPORT_EMAIL_DELIVERY = "background"
    answer(desk, ticket)
    assert not provider.messages
    assert attempts.attempt_next()[1] is None
    assert len(provider.messages) == 1


def resend(*arguments):
    out = StringIO()
    with contextlib.suppress(SystemExit):
        call_command("resend_failed_emails", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()


def make_reply(ticket, **changes):
    return Message.objects.create(
        **{"ticket": ticket, "to": ticket.reply_address, "text": "x", "email_status": "failed"}
        | changes
    )


def test_is_resent_by_the_command(provider, ticket):
    reply = make_reply(ticket)
    assert f"message  {reply.pk}"[:20] in "\n".join(resend("--dry-run"))
    assert resend()[-1] == "sent=1 pending=0 failed=0"
    assert len(provider.messages) == 1


def test_is_resent_with_its_ticket_and_with_no_other(provider, ticket):
    make_reply(ticket)
    make_reply(TicketFactory(email_status="sent"))
    assert resend("--ticket", str(ticket.pk))[-1] == "sent=1 pending=0 failed=0"


def test_is_resent_from_the_page(desk, provider, ticket):
    reply = make_reply(ticket)
    url = reverse("admin:support_ticket_resend", args=[ticket.pk])
    desk.post(url, {"reply": str(reply.pk)})
    reply.refresh_from_db()
    assert reply.email_status == "sent"
    assert ticket.events.get().kind == "resend"


@pytest.mark.parametrize(
    "reply", ["x", "\x00" * 36, "x" * 36, "01a20c5d-797b-7721-a7a7-b8996c551e97"]
)
def test_resends_no_strange_reply(desk, provider, ticket, reply):
    url = reverse("admin:support_ticket_resend", args=[ticket.pk])
    assert desk.post(url, {"reply": reply}, follow=True).status_code == 200
    assert not provider.messages


def test_takes_turns_with_tickets_oldest_first(provider, ticket):
    old = timezone.now() - timedelta(days=2)
    make_reply(ticket, created_at=old)
    TicketFactory(created_at=old - timedelta(days=1))
    assert resend("--limit", "1")[-1] == "sent=1 pending=0 failed=0"
    assert Message.objects.get().email_status == "failed"


def test_takes_no_row_that_another_holds(provider, ticket):
    make_reply(ticket, email_status="pending", next_attempt_at=timezone.now())
    copies = [Message.objects.all().due() for _ in range(2)]
    assert [rows.claim() is not None for rows in copies] == [True, False]


def test_stops_no_other_mail_when_the_customers_address_is_refused(
    desk, use_mail, scripted_smtp_server, ticket
):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["RCPT"] = Answer(550, "no such user", times=1)
    answer(desk, ticket)
    reply = Message.objects.get()
    assert (reply.email_status, reply.last_error[:11]) == ("failed", "message 550")
    assert not MailChannel.objects.filter(failing_since__isnull=False).exists()


def test_waits_when_the_customers_server_says_later(desk, use_mail, scripted_smtp_server, ticket):
    use_mail(scripted_smtp_server)
    scripted_smtp_server.faults["RCPT"] = Answer(451, "later", times=1)
    answer(desk, ticket)
    assert Message.objects.get().email_status == "pending"


def canned_url(ticket, pk):
    return reverse("admin:support_ticket_canned", args=[ticket.pk, pk])


def test_fills_in_a_canned_reply(desk, agent, ticket):
    CannedReply.objects.create(
        name="Hello",
        text="Hello {{ account }}, {{agent}} here about {{ ticket }} ({{ type }}, {{ plan }}): "
        "{{ password }} {{ account.password }} <script>",
    )
    (canned,) = desk.get(reverse("admin:support_ticket_change", args=[ticket.pk])).context["canned"]
    assert desk.get(canned_url(ticket, canned.pk)).json()["text"] == (
        f"Hello {ticket.user.username}, bea here about {ticket.pk} (billing, pro): "
        "{{ password }} {{ account.password }} <script>"
    )
    assert "<script>{{" not in page_of(desk, ticket)


def test_fills_in_a_canned_reply_without_script(desk, use_mail, smtp_server, ticket):
    use_mail(smtp_server)
    canned = CannedReply.objects.create(name="Hello", text="Hello </textarea>{{ account }}")
    url = reverse("admin:support_ticket_change", args=[ticket.pk])
    page = desk.get(f"{url}?canned={canned.pk}").content.decode()
    assert f"Hello &lt;/textarea&gt;{ticket.user.username}</textarea>" in page


@pytest.mark.parametrize("chosen", ["x", "%00", "9" * 40, "-1", "²", ""])
def test_never_breaks_on_a_strange_canned_reply(desk, ticket, chosen):
    url = reverse("admin:support_ticket_change", args=[ticket.pk])
    assert desk.get(f"{url}?canned={chosen}").status_code == 200


@pytest.mark.parametrize("pk", [7, 10**15, 10**40])
def test_knows_no_other_canned_reply(desk, ticket, pk):
    assert desk.get(canned_url(ticket, pk)).status_code == 404


def test_shows_a_canned_reply_to_those_who_may_answer(desk, agent, ticket):
    canned = CannedReply.objects.create(name="Hello", text="a word of ours")
    agent.groups.get().permissions.remove(Permission.objects.get(codename="reply_ticket"))
    client, url = log_in(agent), reverse("admin:support_ticket_change", args=[ticket.pk])
    assert client.get(canned_url(ticket, canned.pk)).status_code == 403
    assert "a word of ours" not in client.get(f"{url}?canned={canned.pk}").content.decode()


def test_names_canned_replies_and_leaves_their_texts(
    desk, use_mail, smtp_server, ticket, django_assert_max_num_queries
):
    use_mail(smtp_server)
    page_of(desk, ticket)
    with django_assert_max_num_queries(25) as few:
        page_of(desk, ticket)
    CannedReply.objects.bulk_create(
        CannedReply(name=f"Reply {number:04}", text="x" * 20_000) for number in range(600)
    )
    with django_assert_max_num_queries(len(few)):
        page = page_of(desk, ticket)
    assert page.count("Reply 0") == 500
    assert len(page) < 120_000


LINES = "a line\r\n" * 2_857


@pytest.mark.parametrize("field", ["reply", "note"])
def test_counts_a_line_break_as_one_character(desk, provider, ticket, field):
    """As the browser's own bound does; it sends each as CR LF."""
    url = reverse(f"admin:support_ticket_{field}", args=[ticket.pk])
    desk.post(url, {"text": f"{LINES}{'x' * (20_000 - 7 * 2_857)}", "seen": "0"})
    assert ticket.events.filter(kind=field).count() == 1
    desk.post(url, {"text": f"{LINES}{'x' * (20_001 - 7 * 2_857)}", "seen": "1"})
    assert ticket.events.filter(kind=field).count() == 1


def test_counts_a_line_break_of_a_canned_reply_as_one(admin_client):
    text = f"{LINES}x"
    admin_client.post(reverse("admin:support_cannedreply_add"), {"name": "Long", "text": text})
    assert CannedReply.objects.get().text == text.replace("\r\n", "\n")

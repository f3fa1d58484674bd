"""One case in a real browser, its customer at the API and a mailbox: answers, a bounce, the end."""

import re
from email.message import EmailMessage

import pytest
import requests
from playwright.sync_api import expect

from accounts.tests.factories import APIKeyFactory
from support.hearing import Heard, write_customer_message
from support.messages import Via
from support.models import InboundMail, Message, Ticket
from support.tests.back_office.test_back_office_in_browser import (
    assert_good,
    bea,
    browse,
    come_back,
    on_sqlite,
    open_ticket,
    see,
)
from support.tests.back_office.test_thread import bounce
from support.tests.back_office.test_unmatched_mail import make_mail
from support.tests.factories import TicketFactory
from support.tests.inbox.mails import make_dsn
from support.tests.inbox.sendgrid import CONTENT_TYPE, INBOUND, SECRET, make_raw_form

__all__ = ["bea", "browse"]

pytestmark = pytest.mark.timeout(240)


def write(ticket, text, **changes):
    heard = Heard(**{"text": text, "via": Via.API} | changes)
    return write_customer_message(ticket.pk, heard, leased=False)


class Customer:
    """Whoever holds the key `key`, with a program and a mailbox."""

    def __init__(self, server, key, smtp_server):
        self.server, self.smtp_server = server, smtp_server
        self.headers = {"Authorization": f"Bearer {key.secret}"}

    def post(self, path, **body):
        url = f"{self.server.url}/v1/support/tickets{path}"
        answer = requests.post(url, json=body, headers=self.headers, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def find_last_mail(self):
        """The newest mail that we sent to the customer."""
        mails = self.smtp_server.messages
        return next(mail for mail in reversed(mails) if mail.recipients == ["ada@example.com"])

    def answer_by_mail(self, raw):
        """Bring a mail as SendGrid does, to the address that our last mail asks to be answered at.

        `raw(address, mail)` makes it, of that mail of ours.
        """
        mail = self.find_last_mail()
        address = mail.header("Reply-To")
        answer = requests.post(
            self.server.url + INBOUND,
            make_raw_form(raw(address, mail), address),
            headers={"Content-Type": CONTENT_TYPE},
            auth=tuple(SECRET.split(":")),
            timeout=30,
        )
        assert answer.status_code == 200, answer.text


def write_mail(address, mail):
    """From elsewhere, with an attachment, below what it quotes of ours."""
    message = EmailMessage()
    message["From"], message["To"] = "Ada <ada@work.example>", address
    message["Subject"], message["Message-ID"] = "Re: " + mail.subject, "<1@work.example>"
    message.set_content("Nothing came.\n\nOn Monday, Support wrote:\n> The refund is on its way.\n")
    message.add_attachment(
        b"%PDF-1.4" * 6_000, maintype="application", subtype="pdf", filename="statement.pdf"
    )
    return message.as_bytes()


def report_bounce(address, mail):
    return make_dsn(address, mail.header("Message-ID"), address)


def test_carries_a_case_to_its_end(bea, service, smtp_server, browse):
    key = APIKeyFactory(user__username="ada", user__email="ada@example.com")
    ways = {"SUPPORT_EMAIL_REPLIES": "help@ctxfy.example", "ANYMAIL_WEBHOOK_SECRET": SECRET}
    server = service(**smtp_server.env, **ways)
    ada = Customer(server, key, smtp_server)
    opened = ada.post(
        "", type="billing", reply_address="ada@example.com", message="Charged twice in October."
    )
    ticket = Ticket.objects.get(pk=opened["id"])
    page = come_back(browse, server, bea)
    queue = f"{server.url}/admin/support/ticket/?tab=all"
    open_ticket(page, ticket)
    page.get_by_label("Your answer", exact=True).fill("Which invoice is it?")
    ada.post(f"/{ticket.pk}/messages", message="It is invoice 118.\nThe second one.")

    page.get_by_role("button", name="Send and wait").click()
    question = page.get_by_role("alertdialog")
    expect(question).to_be_focused()
    expect(question).to_contain_text("The customer wrote a moment ago: “It is invoice 118.”")
    assert_good(page)
    question.get_by_role("link", name="Change it first").click()
    page.get_by_label("Your answer", exact=True).fill("The refund is on its way.")
    page.get_by_role("button", name="Send and wait").click()
    see(page, "Your answer went to ada@example.com.")
    page.goto(queue)
    see(page, "You wrote last")

    ada.answer_by_mail(write_mail)
    page.reload()
    expect(page.locator(".cx-unanswered")).to_contain_text("The customer wrote")
    assert_good(page)
    page.get_by_role("link", name="Charged twice").click()
    see(page, "Not the ticket's reply address")
    see(page, "statement.pdf")
    expect(page.get_by_text("> The refund is on its way.")).to_be_hidden()
    page.get_by_text("Quoted text").click()
    expect(page.get_by_text("> The refund is on its way.")).to_be_visible()
    assert_good(page)

    page.get_by_label("Your answer", exact=True).fill("We sent it again.")
    page.get_by_role("button", name="Send and solve").click()
    see(page, "Your answer went to ada@example.com.")
    ticket.refresh_from_db()
    assert ticket.state == "solved"
    ada.answer_by_mail(report_bounce)
    page.reload()
    see(page, "came back")
    assert_good(page)
    ticket.refresh_from_db()
    assert ticket.state == "open"
    page.get_by_role("button", name="Send again").click()
    see(page, "The mail provider accepted it.")

    page.get_by_label("Your answer", exact=True).fill("Here it is again.")
    page.get_by_role("button", name="Send and solve").click()
    see(page, "Your answer went to ada@example.com.")
    ticket.refresh_from_db()
    assert (ticket.state, Message.objects.count()) == ("solved", 5)


@pytest.mark.parametrize("javascript", [True, False])
def test_settles_mail_without_a_ticket(bea, shared_service, browse, javascript):
    ticket = TicketFactory(message="Charged twice", email_status="sent")
    make_mail(text="Where is my refund?")
    make_mail(subject="Win a phone", text="Click here", sender="spam@x.example")
    page = come_back(browse, shared_service, bea, java_script_enabled=javascript)
    page.get_by_role("link", name=re.compile("Mail without a ticket")).click()
    see(page, "Where is my refund?")
    if javascript:  # Axe is a script.
        assert_good(page)
    page.get_by_role("button", name="Attach to: Charged twice").click()
    see(page, "It is a message of")
    spam = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Win a phone"))
    spam.get_by_role("button", name="Discard").click()
    see(page, "Discarded: “Win a phone”")
    page.get_by_role("button", name="Undo").click()
    see(page, "It waits again")
    spam.get_by_label("Attach to", exact=True).fill("nothing")
    spam.get_by_role("button", name="Attach", exact=True).click()
    see(page, "Paste a ticket's id")
    spam.get_by_role("button", name="Discard").click()
    see(page, "Every mail has its ticket.")
    if javascript:
        assert_good(page)
    assert Message.objects.get().ticket == ticket
    assert set(InboundMail.objects.values_list("outcome", flat=True)) == {"stored", "discarded"}


@on_sqlite
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_is_readable_for_everybody(bea, shared_service, browse, theme, width):
    long_word = "x" * 300
    ticket = TicketFactory(message="Charged twice", email_status="sent", reply_address="12 Main St")
    write(ticket, f"{long_word} [Ctxfy API key ctxfy_ab12c3… removed]")
    parts = [{"name": f"{long_word}.pdf", "type": "application/pdf", "size": 48_213}]
    sender = f"{'a' * 64}@{'b' * 60}.example"
    write(ticket, "By mail", via=Via.MAIL, sender=sender, quoted="> Hello", attachments=parts)
    reply = Message.objects.create(ticket=ticket, to="a@x.example", text="x", author=bea)
    bounce(reply)
    make_mail(subject=long_word, sender=f"{'a' * 64}@x.example", text=long_word, quoted="> Hello",
              attachments=parts, ticket=ticket)  # fmt: skip
    page = come_back(browse, shared_service, bea, theme=theme, width=width)
    origin = page.url.removesuffix("/admin/")
    for path in ("mail/", "?tab=all", f"{ticket.pk}/change/"):
        page.goto(f"{origin}/admin/support/ticket/{path}")
        assert_good(page)
    assert Ticket.objects.get().state == "open"

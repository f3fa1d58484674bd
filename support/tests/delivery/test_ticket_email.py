"""The mail, as it arrives at either provider."""

import pytest

from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

MESSAGE = "Charged <b>twice</b> & more…\n\n\tAnd {{ this }}\n.\nlast line"


def parts(provider):
    """Of the one mail that arrived: (subject, from, to, reply_to, text, html, headers)."""
    (arrived,) = provider.wait_for(1, 5)
    if hasattr(arrived, "payload"):
        payload = arrived.payload
        (personalization,) = payload["personalizations"]
        text, html = payload["content"]
        assert (text["type"], html["type"]) == ("text/plain", "text/html")
        assert set(personalization) == {"to"}
        return {
            "subject": payload["subject"],
            "from": payload["from"]["email"],
            "to": [to["email"] for to in personalization["to"]],
            "reply_to": payload.get("reply_to", {}).get("email"),
            "text": text["value"],
            "html": html["value"],
            "headers": payload["headers"],
        }
    parsed = arrived.parsed
    return {
        "subject": parsed["Subject"],
        "from": parsed["From"],
        "to": arrived.recipients,
        "reply_to": parsed["Reply-To"],
        "text": parsed.get_body(("plain",)).get_content().replace("\r\n", "\n"),
        "html": parsed.get_body(("html",)).get_content().replace("\r\n", "\n"),
        "headers": parsed,
    }


def test_holds_everything_the_agent_needs(post, provider, settings, api_key):
    assert post(message=MESSAGE, type="billing & co").json()["status"] == "sent"
    mail = parts(provider)
    ticket = Ticket.objects.get()
    facts = [
        "ada@example.com",
        str(api_key.user.pk),
        api_key.user.username,
        "pro",
        "1000",
        str(ticket.pk),
        f"{ticket.created_at:%Y-%m-%d %H:%M:%S}",
        f"{settings.SITE_URL}/admin/support/ticket/{ticket.pk}/change/",
    ]
    for fact in facts:
        assert fact in mail["text"]
        assert fact in mail["html"]
    assert mail["text"].startswith(MESSAGE)
    assert "billing & co" in mail["text"]
    assert "Charged &lt;b&gt;twice&lt;/b&gt; &amp; more" in mail["html"]
    assert "<b>twice" not in mail["html"]


def test_goes_to_support_and_nobody_else(post, provider, settings):
    post()
    mail = parts(provider)
    assert mail["to"] == [settings.SUPPORT_EMAIL]
    assert mail["from"] == settings.SUPPORT_EMAIL_FROM
    assert mail["reply_to"] == "ada@example.com"


def test_has_headers_that_make_copies_collapse(post, provider):
    post()
    ticket = Ticket.objects.get()
    headers = parts(provider)["headers"]
    assert headers["Message-ID"] == f"<{ticket.pk}@tickets.ctxfy>"
    assert headers["Date"] == f"{ticket.created_at:%a, %d %b %Y %H:%M:%S} +0000"
    assert headers["Auto-Submitted"] == "auto-generated"


def test_has_sendgrid_tell_its_row_with_what_becomes_of_it(post, use_mail, sendgrid_server):
    use_mail(sendgrid_server)
    ticket_id = post().json()["id"]
    assert sendgrid_server.messages[0].payload["custom_args"] == {"support_row": ticket_id}


def test_has_no_reply_to_where_there_is_no_mailbox(post, provider):
    post(reply_address="123 Main St")
    assert parts(provider)["reply_to"] is None


@pytest.mark.parametrize(
    "type_",
    ["a b", "x" * 64, "\U0001f600" * 64, "Bcc: v@x"],
    ids=["words", "long", "wide", "header"],
)
def test_has_a_subject_of_one_line(post, provider, type_):
    post(type=type_)
    subject = parts(provider)["subject"]
    assert len(subject) <= 200
    assert "\n" not in subject
    assert subject.strip().startswith(f"[{type_[:60]}")


def test_signs_in_and_encrypts(post, smtp_server, use_mail):
    use_mail(smtp_server)
    post()
    (arrived,) = smtp_server.wait_for(1, 5)
    assert (arrived.encrypted, arrived.user) == (True, smtp_server.user)


@pytest.mark.parametrize("value", ["a\r\nBcc: v@x.example", "a\nb", "a\x0bb"])
@pytest.mark.parametrize("field", ["type", "reply_address"])
def test_passes_no_line_break_on(provider, field, value):
    """Rows that came past the API: what it refuses must not reach a header either."""
    from support.delivery import attempts

    ticket = TicketFactory(**{field: value})
    attempts.attempt(Ticket.objects.filter(pk=ticket.pk).claim())
    ticket.refresh_from_db()
    if ticket.email_status == "sent":
        mail = parts(provider)
        assert "\n" not in mail["subject"]
        assert "Bcc" not in dict(mail["headers"])
    else:
        assert ticket.email_status == "failed"
        assert not provider.messages

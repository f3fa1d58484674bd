"""Whatever a customer writes, the mail goes to support alone and says exactly that."""

import re

import pytest
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from accounts.models import User
from support.api.serializers import NewTicketSerializer
from support.delivery.composing import compose
from support.delivery.transport import pool
from support.failures import FailureKind, classify
from support.mailboxes import is_email_address
from support.models import Ticket

LONGEST_LINE_BYTES = 998
SMTP_HEADERS = {
    *("content-type", "mime-version", "subject", "from", "to", "reply-to"),
    *("message-id", "date", "auto-submitted"),
}
SENDGRID_HEADERS = {"Message-ID", "Date", "Auto-Submitted"}
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f]")
REFUSED_IN_MESSAGES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# fmt: off
NASTY = [
    "\r\n", "\n", "\r", "\t", " ", "\x00", "\x01", "\x0b", "\x0c", "\x1c", "\x7f", "\x85",
    "\u2028", "\u2029", "\u202e", "\u200b", "\ufeff", "\u00a0", "\U000e0001",
    "\r\nBcc: v@evil.example", "\nBcc: v@evil.example\n\n", "\rTo: v@evil.example", "\r\n\r\n<p>",
    "=?utf-8?q?=0D=0ABcc:_v@evil.example?=", "=?utf-8?b?DQpCY2M6IHZAZXZpbC5leGFtcGxl?=",
    "\n.\n", "\r\n.\r\nMAIL FROM:<v@evil.example>\r\n", ".", "..", "\nFrom ", "--===============",
    ",", ";", ":", "<", ">", '"', "'", "\\", "(", ")", "[", "]", "@", "%0d%0a", "=0D=0A", "=",
    "=\n", "{{ ticket }}", "{% include 'x' %}", "{{", "%s", "&amp;", "<script>", "]]>", "Reply-To:",
    "é", "ß", "İ", "困った", "\U0001f600", "e\u0301" * 9, "x" * 90, "x " * 600, "é" * 600,
]
# fmt: on


def texts(longest):
    pieces = st.lists(st.sampled_from(NASTY) | st.text(max_size=20), min_size=1, max_size=12)
    return pieces.map(lambda parts: "".join(parts)[:longest])


def addresses():
    """Mailboxes, common and strange, nearly mailboxes, and no mailboxes at all."""
    local_parts = st.sampled_from(['"a b"', '"a,b"', '"a\\"b"', "a+b", "{a}", "o'hara", "x" * 200])
    domains = st.sampled_from(["example.com", "exämple.com", "xn--exmple-cua.com", "[127.0.0.1]"])
    strange = st.builds("{}@{}".format, local_parts | texts(20), domains | texts(20))
    return st.emails() | strange | texts(320)


def tickets():
    """The fields of a ticket as a row might have them; half as the API would let them through."""
    rows = st.fixed_dictionaries(
        {"type": texts(64), "reply_address": addresses(), "message": texts(20_000)}
    )
    return rows | rows.map(tame)


def tame(fields):
    """The same texts without what the API refuses."""
    type_, address = (REFUSED.sub("", fields[name]) for name in ("type", "reply_address"))
    if not is_email_address(address):
        address = address.replace("@", "")
    message = REFUSED_IN_MESSAGES.sub("", fields["message"])
    return {"type": type_ or "x", "reply_address": address or "x", "message": message or "x"}


def check_mail(server, fields):
    """Send this ticket's mail over the kept connection and compare what arrived; or did not."""
    form = NewTicketSerializer(data=fields)
    valid = form.is_valid()
    user = User(pk=7, username="ada")
    ticket = Ticket(user=user, token_balance=5, **(form.validated_data if valid else fields))
    before = len(server.messages)
    failure = None
    try:
        pool.send(compose(ticket))
    except Exception as exc:
        failure = classify(exc)
    if failure:
        assert (valid, failure.kind) == (False, FailureKind.MESSAGE)
        assert len(server.messages) == before
        return
    [mail] = server.wait_for(before + 1)[before:]
    assert mail.recipients == [settings.SUPPORT_EMAIL]
    check_headers(mail, ticket.reply_address)
    if valid:
        written = f"{ticket.message}\n\n-- \nType: "
        assert one_line_break(mail.text).startswith(one_line_break(written))


def one_line_break(text):
    """The text as it is after a mail has made all its line breaks alike."""
    return re.sub("\r\n?", "\n", text)


def check_headers(mail, reply_address):
    """No header that we did not write, none that a reader could take for two."""
    if hasattr(mail, "payload"):
        assert list(mail.payload["personalizations"][0]) == ["to"]
        assert set(mail.payload["headers"]) == SENDGRID_HEADERS
        reply_to = mail.payload.get("reply_to", {}).get("email")
        for value in (mail.subject, reply_to or "", *mail.payload["headers"].values()):
            assert not CONTROLS.search(value)
            assert len(value.encode()) <= LONGEST_LINE_BYTES
    else:
        lines = mail.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert not [line for line in lines if b"\r" in line or b"\n" in line]
        assert max(map(len, mail.raw.split(b"\r\n"))) <= LONGEST_LINE_BYTES
        names = [name.lower() for name in mail.parsed.keys()]  # noqa: SIM118  (repeated ones too)
        assert set(names) <= SMTP_HEADERS
        assert len(names) == len(set(names))
        reply_to = mail.parsed["Reply-To"]
        assert reply_to is None or len(reply_to.addresses) == 1
    assert (reply_to is not None) == is_email_address(reply_address)


# The pool keeps its connection from one example to the next, as a worker does.
@examples(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(fields=tickets())
def test_goes_to_support_alone_and_says_what_was_written(provider, fields):
    check_mail(provider, fields)


@pytest.mark.parametrize("name", ["type", "reply_address", "message"])
def test_withstands_each_nasty_text_by_itself(provider, name):
    fields = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice"}
    for text in NASTY:
        for value in (text, f"a{text}b", f"ada@example.com{text}", f"{text}ada@example.com"):
            check_mail(provider, fields | {name: value[:64]})

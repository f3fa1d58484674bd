"""Mails to post, and where a corpus of them stands: support/tests/data/mails/."""

from pathlib import Path

from django.utils import timezone

CORPUS = Path(__file__).parent.parent / "data" / "mails"


def make_mail(to, text="It works now, thank you.", *, sender="ada@example.com", **headers):
    """A mail as bytes; a header whose name has underscores is written with hyphens."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    number = make_mail.count = make_mail.count + 1
    lines = {
        "From": f"Ada Lovelace <{sender}>",
        "To": to,
        "Subject": "Re: [billing] Support ticket",
        "Date": f"{timezone.now():%a, %d %b %Y %H:%M:%S +0000}",
        "Message-ID": f"<{number}@mail.example.com>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
    } | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"{head}\r\n{text}\r\n".encode()


make_mail.count = 0


def make_dsn(to, original_id, reply_to, *, action="failed", status="5.1.1", text="No such user"):
    """A report of a server (RFC 3464) on a mail of ours."""
    body = f"""\
This is the mail system at host mx.example.com.

--part
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.
--part
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: Tue, 24 Nov 2026 10:00:00 +0000

Final-Recipient: rfc822; ada@example.com
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} {text}
--part
Content-Type: message/rfc822

From: support@example.com
To: ada@example.com
Reply-To: {reply_to}
Message-ID: {original_id}
Subject: Re: [billing]

Hello
--part--
"""
    return make_mail(
        to,
        body,
        sender="MAILER-DAEMON@mx.example.com",
        Content_Type='multipart/report; report-type=delivery-status; boundary="part"',
        Return_Path="<>",
        Auto_Submitted="auto-replied",
    )

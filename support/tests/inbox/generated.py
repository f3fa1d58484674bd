"""Mails that no two programs would agree about: headers, encodings, parts and sizes.

`python -m support.tests.inbox.generated [--mails 5000]` posts each three times to the service
itself, in both of SendGrid's forms, on SQLite and on PostgreSQL, and exits 1 where an answer is
5xx, a mail is not stored exactly once, or a message came by an address that was forged.
"""

import argparse
import base64
import random
import sys
import tempfile

import django
import requests

from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import ServiceProcess, make_environment, run_command
from support.tests.inbox.sendgrid import (
    CONTENT_TYPE,
    INBOUND,
    SECRET,
    make_parsed_form,
    make_raw_form,
)

CHARSETS = [
    *("utf-8", "UTF8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "koi8-r", "utf-7"),
    *(
        "utf-16",
        "utf-32",
        "big5",
        "gb18030",
        "iso-2022-jp",
        "shift_jis",
        "euc-kr",
        "hz",
        "x-nothing",
    ),
    *("idna", "punycode", "unicode_escape", "base64", "rot13", "zip", "undefined", "mbcs", ""),
    *('"', "\x00", "é", "utf-8'", "a" * 300, "utf-8; x=y", "=?utf-8?q?x?="),
]
ENCODINGS = ["7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "nothing", ""]
TYPES = [
    *("text/plain", "text/html", "text/calendar", "text/enriched", "application/octet-stream"),
    *("image/png", "message/rfc822", "message/delivery-status", "message/partial", "text", "/"),
    *(
        "application/pkcs7-mime",
        "application/ms-tnef",
        "x/y/z",
        "x/\x00",
        "é/\ud800",
        "",
        "TEXT/PLAIN",
        "text/plain;;;",
    ),
]
MULTIPARTS = ["mixed", "alternative", "related", "signed", "report", "digest", "x", ""]
# fmt: off
NASTY = [
    "\x00", "\x01", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800", "\udfff",
    "é", "ß", "困った", "\U0001f600", "e\u0301" * 20, "\r", "\n", "\t", " ", "x" * 1_200, "=",
    "=?utf-8?q?=C3=A4?=", "=?utf-8?b?////?=", "=?x?z?y?=", "=?" * 50, "?=", "=?utf-8?q?" * 20,
    "=?utf-8?b?" + "A" * 400, "=00", "=\n", "=G", "%00", "On Monday, Ada wrote:", "> quoted", ">",
    "-----Original Message-----", "From: a\nSent: b\nTo: c\nSubject: d", "_" * 32, "--b0", "--b0--",
    "--", "-- ", "begin 644 x", "`\nend", "<p>", "<blockquote>", "</div>" * 9, "<!--", "<![CDATA[",
    "<script>x</script>", "&#0;", "&#xD800;", "&nbsp;", "<a " * 30, "<br>", "<table><td>x",
    "4111 1111 1111 1111", "sk_live_" + "a" * 24, "<x@y>", "<>", ",", ";", ":", '"', "\\", "(", ")",
]
HEADERS = [
    "Cc", "Bcc", "Reply-To", "In-Reply-To", "References", "Received", "X-Spam", "Sender", "Subject",
    "From", "Date", "Message-ID", "MIME-Version", "Content-Language", "Importance", "", "é", "A b",
]
AUTOMATIC = [
    "Auto-Submitted: auto-replied", "Precedence: list", "List-Id: <x>", "Return-Path: <>",
    "Auto-Submitted: ", "Precedence: \xff", "Auto-Submitted: no",
]
# fmt: on


class Generator:
    """Mails for an address, the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self._count = 0

    def words(self, most=8):
        chosen = self.random.choices(NASTY, k=self.random.randint(0, most))
        plain = self.random.choices(["the", "quick", "brown", "fox", "jumps", "over", "it"], k=most)
        mixed = [*chosen, *plain]
        self.random.shuffle(mixed)
        return self.random.choice([" ", "", "\n"]).join(mixed)

    def encode(self, text):
        """Text as bytes in any character set, right or wrong."""
        charset = self.random.choice(["utf-8", "utf-8", "latin-1", "utf-16", "cp1252", "utf-7"])
        return text.encode(charset, "surrogatepass" if charset == "utf-8" else "replace")

    def line(self, name, value):
        data = self.encode(f"{name}: {value}")
        if self.random.random() < 0.9:
            data = b" ".join(data.replace(b"\r", b"\n").split(b"\n"))
        return data + (b"\n" if self.random.random() < 0.1 else b"\r\n")

    def part(self, depth):
        if depth < 5 and self.random.random() < 0.35 / (depth + 1):
            return self.multipart(depth)
        kind = self.random.choice(TYPES[:2] if self.random.random() < 0.6 else TYPES)
        charset, encoding = self.random.choice(CHARSETS), self.random.choice(ENCODINGS)
        head = self.line("Content-Type", f'{kind}; charset="{charset}"')
        head += self.line("Content-Transfer-Encoding", encoding)
        if self.random.random() < 0.3:
            name = self.words(2)
            head += self.line("Content-Disposition", f'attachment; filename="{name}"')
        body = self.encode("\n".join(self.words() for _ in range(self.random.randint(0, 6))))
        if encoding == "base64" and self.random.random() < 0.8:
            body = base64.encodebytes(body)
        if self.random.random() < 0.05:
            body = self.random.randbytes(self.random.randint(0, 40_000))
        return head + b"\r\n" + body

    def multipart(self, depth=0):
        boundary = f"b{depth}" if self.random.random() < 0.9 else self.words(1)
        kind = self.random.choice(MULTIPARTS)
        head = self.line("Content-Type", f'multipart/{kind}; boundary="{boundary}"')
        mark = b"\r\n--" + self.encode(boundary)
        parts = [self.part(depth + 1) for _ in range(self.random.randint(0, 4))]
        end = mark + b"--\r\n" if self.random.random() < 0.9 else b""
        return head + b"\r\n" + b"".join(mark + b"\r\n" + part for part in parts) + end

    def mail(self, address):
        """A mail to an address, which is well named; nothing else need be."""
        self._count += 1
        head = self.line("To", address).replace(b"\x00", b"") if self._count % 2 else b""
        head = f"X-Number: {self._count}\r\nDelivered-To: {address}\r\n".encode() + head
        head += f"Message-ID: <{self._count}@generated.example>\r\n".encode()
        for _ in range(self.random.randint(0, 8)):
            head += self.line(self.random.choice(HEADERS), self.words(3))
        if self.random.random() < 0.1:
            head += self.random.choice(AUTOMATIC).encode("latin-1") + b"\r\n"
        body = self.multipart() if self.random.random() < 0.6 else self.part(0)
        mail = head + body
        if self.random.random() < 0.03:
            mail = mail[: self.random.randint(len(head), len(mail))]
        return mail


def forge(address, random):
    """The address with one letter of its token changed."""
    at = address.index("+") + random.randint(1, 42)
    letters = set("abcdefghijklmnopqrstuvwxyz234567") - {address[at].lower()}
    return address[:at] + random.choice(sorted(letters)) + address[at + 1 :]


def make_bodies(seed, count, addresses):
    """Rows (body of a request, whether its token is forged): each mail in one of the two forms."""
    generator = Generator(seed)
    for number in range(count):
        address = addresses[number % len(addresses)]
        is_forged = number % 10 == 9
        if is_forged:
            address = forge(address, generator.random)
        raw = generator.mail(address)
        make_form = make_raw_form if number % 2 else make_parsed_form
        try:
            yield make_form(raw, address), is_forged
        except Exception:  # SendGrid would find another way to read it.
            yield make_raw_form(raw, address), is_forged


def run(url_of, env, *, mails, seed):
    """Post them to the service of `env`; return what was found, as text, and whether it is well."""
    from support.models import InboundMail, Message, Ticket
    from support.reply_addresses import find_reply_address
    from support.tests.factories import TicketFactory

    tickets = TicketFactory.create_batch(max(1, mails // 15), email_status="sent")
    addresses = [find_reply_address(ticket.pk) for ticket in tickets]
    statuses = {}
    with ServiceProcess(env=env) as service:
        session = requests.Session()
        session.headers["Content-Type"] = CONTENT_TYPE
        session.auth = tuple(SECRET.split(":"))
        forged = 0
        for body, is_forged in make_bodies(seed, mails, addresses):
            forged += is_forged
            for _ in range(3):
                answer = session.post(url_of(service) + INBOUND, data=body)
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    outcomes = {
        outcome: InboundMail.objects.filter(outcome=outcome).count()
        for outcome in ("stored", "unmatched", "ignored")
    }
    unread = InboundMail.objects.exclude(raw="").count()
    text = (
        f"{mails} mails, each three times: answers {statuses}, {outcomes}, "
        f"{unread} kept as they came, {Message.objects.count()} messages; of {forged} forged "
        f"addresses {Message.objects.count() - outcomes['stored']} led to one"
    )
    is_well = (
        set(statuses) == {200}
        and sum(outcomes.values()) == mails
        and Message.objects.count() == outcomes["stored"]
        and outcomes["unmatched"] >= forged
        and Ticket.objects.count() == len(tickets)
    )
    return text, is_well


def run_on(name, url, options):
    import os

    env = {
        "DATABASE_URL": url,
        "SUPPORT_EMAIL_REPLIES": "help@ctxfy.example",
        "ANYMAIL_WEBHOOK_SECRET": SECRET,
    }
    migrated = run_command("migrate", env=env, timeout=300)
    assert migrated.returncode == 0, migrated.stderr
    os.environ.update(make_environment(env))
    os.environ["DJANGO_SETTINGS_MODULE"] = "ctxfy_support.settings"
    django.setup()
    text, is_well = run(lambda service: service.url, env, mails=options.mails, seed=options.seed)
    print(f"R18 {name}: {text}", flush=True)
    return is_well


def main(arguments):
    parser = argparse.ArgumentParser(prog="generated", description=__doc__.partition("\n")[0])
    parser.add_argument("--mails", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--place", choices=["SQLite", "PostgreSQL"], default="PostgreSQL")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if options.place == "SQLite":
            return run_on("SQLite", f"sqlite:///{folder}/db.sqlite3", options)
        with PostgresServer(fsync="off") as server:
            return run_on("PostgreSQL", server.url, options)


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)

"""Of a mail that is too large the headers are taken, and a text that says so."""

import email
import email.policy

import pytest

from support.inbox.oversized import make_notice

HEADER = (
    b"Return-Path: <>\r\nFrom: Ada\r\n <ada@example.com>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=x\r\n"
    b"Content-Transfer-Encoding: base64\r\nTo: support@ctxfy.example\r\n\r\n"
)


def read(header):
    notice = make_notice(header, 30_000_000, 26_214_400)
    return email.message_from_bytes(notice, policy=email.policy.default)


def test_keeps_every_header_but_those_of_the_body():
    mail = read(HEADER)
    assert mail["From"] == "Ada <ada@example.com>"
    assert (mail["Subject"], mail["To"]) == ("Grüße", "support@ctxfy.example")
    assert mail["Return-Path"] == "<>"
    assert mail.get_content_type() == "text/plain"
    assert mail["Content-Transfer-Encoding"] is None
    assert "30,000,000 octets, more than the 26,214,400" in mail.get_content()
    assert mail.defects == []


def test_is_the_same_each_time():
    assert make_notice(HEADER, 9, 8) == make_notice(HEADER, 9, 8)


def test_keeps_what_makes_a_bounce_automatic():
    assert read(HEADER)["Auto-Submitted"] is None
    assert read(HEADER.replace(b"/mixed", b"/Report"))["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize(
    "header",
    [b"", b"\r\n", b"\xff\xfe: \x00\r\n", b"no colon\r\nA: b", HEADER[:100], b"A: b\nC: d\n"],
)
def test_takes_any_header(header):
    assert "Only its headers were" in read(header).get_content()

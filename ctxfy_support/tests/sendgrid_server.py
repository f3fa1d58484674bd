"""SendGrid's v3 mail endpoint on loopback, as strict as its reference describes.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send has the request body and its errors.
Stages for `faults`: connect (before anything is read) and request (in place of the answer).
"""

import http.client
import json
import re
import uuid
from dataclasses import dataclass, field

from ctxfy_support.tests.loopback import HOST, Fault, Inbox, LoopbackServer

ERRORS_PAGE = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html"
# fmt: off
RESERVED_HEADERS = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type",
    "content-transfer-encoding", "to", "from", "subject", "reply-to", "cc", "bcc",
}
# fmt: on
RECIPIENT_FIELDS = ("to", "cc", "bcc")


@dataclass(frozen=True)
class Response(Fault):
    """One HTTP response; a dict as its body becomes JSON."""

    status: int
    body: str | dict = ""
    headers: dict = field(default_factory=dict)

    @property
    def data(self):
        is_json = isinstance(self.body, dict)
        body = (json.dumps(self.body) if is_json else self.body).encode()
        headers = {
            "Content-Type": "application/json" if is_json else "text/html; charset=utf-8",
            "Content-Length": len(body),
            **self.headers,
        }
        phrase = http.client.responses.get(self.status, "")
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def strike(self, channel, answer):
        channel.send(self.data)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: http.client.HTTPMessage
    body: bytes
    connection: int


@dataclass(frozen=True)
class Message:
    """One accepted mail: its payload, the request's HTTP headers, and the connection."""

    payload: dict
    http_headers: http.client.HTTPMessage
    connection: int

    @property
    def recipients(self):
        return [
            address["email"]
            for personalization in self.payload["personalizations"]
            for name in RECIPIENT_FIELDS
            for address in personalization.get(name, [])
        ]

    @property
    def subject(self):
        return self.payload["subject"]

    @property
    def text(self):
        return self.payload["content"][0]["value"]

    def header(self, name):
        headers = {key.lower(): value for key, value in self.payload.get("headers", {}).items()}
        return headers.get(name.lower())


class SendGridServer(LoopbackServer):
    """`requests` has everything that was read, `messages` what was accepted."""

    support_email = "support@ctxfy.example"

    def __init__(self, api_key="SG.made-up"):
        super().__init__()
        self.api_key = api_key
        self.requests = Inbox()
        self.scopes = ["mail.send", "sender_verification_eligible"]

    @property
    def url(self):
        return f"http://{HOST}:{self.port}/v3/"

    @property
    def env(self):
        return {
            "SUPPORT_EMAIL": self.support_email,
            "SUPPORT_EMAIL_FROM": "tickets@ctxfy.example",
            "SUPPORT_EMAIL_SENDER": "sendgrid",
            "SENDGRID_API_KEY": self.api_key,
            "SENDGRID_API_URL": self.url,
        }

    def converse(self, channel):
        if fault := self.faults.take("connect"):
            fault.strike(channel, b"")
        while request := read_request(channel):
            self.requests.append(request)
            fault = self.faults.take("request")
            if fault is None:
                channel.send(self._respond(request).data)
            elif fault.accept:
                fault.strike(channel, self._respond(request).data)
            else:
                fault.strike(channel, Response(202).data)

    def _respond(self, request):
        match request.method, request.path:
            case "POST", "/v3/mail/send":
                return self._send_mail(request)
            case "GET", "/v3/scopes":
                if request.headers["Authorization"] != f"Bearer {self.api_key}":
                    return refusal(401, "authorization required")
                return Response(200, {"scopes": self.scopes})
            case "GET", "/v3/landing":  # where a redirect may point
                return Response(200, "<p>Nothing was sent.</p>")
            case _, "/v3/mail/send":
                return refusal(405, "method not allowed")
            case _:
                return refusal(404, "not found")

    def _send_mail(self, request):
        if request.headers["Authorization"] != f"Bearer {self.api_key}":
            return refusal(401, "The provided authorization grant is invalid, expired, or revoked")
        if request.headers.get_content_type() != "application/json":
            return refusal(415, "Content-Type should be application/json.")
        try:
            payload = json.loads(request.body)
        except ValueError:
            return refusal(400, "Bad Request")
        errors = [
            {"message": message, "field": name, "help": f"{ERRORS_PAGE}#message.{name}"}
            for name, message in violations(payload)
        ]
        if errors:
            return Response(400, {"errors": errors})
        self.messages.append(Message(payload, request.headers, request.connection))
        return Response(202, headers={"X-Message-Id": uuid.uuid4().hex})


def read_request(channel):
    """Read one request, or return None once the client has gone."""
    line = channel.file.readline().decode("latin-1").split()
    if not line:
        return None
    method, path, _ = line
    headers = http.client.parse_headers(channel.file)
    body = channel.file.read(int(headers["Content-Length"] or 0))
    return Request(method, path, headers, body, channel.number)


def refusal(status, message):
    return Response(status, {"errors": [{"message": message, "field": None, "help": None}]})


def violations(payload):
    """Yield (field, message) for everything in a mail that SendGrid answers with 400."""
    if not isinstance(payload, dict):
        yield None, "Bad Request"
        return
    personalizations = payload.get("personalizations") or []
    if not personalizations:
        yield "personalizations", "At least one personalization is required."
    seen = set()
    for index, personalization in enumerate(personalizations):
        where = f"personalizations.{index}"
        if not personalization.get("to"):
            yield f"{where}.to", "The to array must have at least one email object."
        for name in RECIPIENT_FIELDS:
            for address in personalization.get(name, []):
                yield from address_violations(f"{where}.{name}", address)
                if address.get("email") in seen:
                    yield where, "Each email address should only be included once."
                seen.add(address.get("email"))
        yield from header_violations(f"{where}.headers", personalization.get("headers", {}))
    yield from address_violations("from", payload.get("from") or {})
    if not is_filled(payload.get("subject")):
        yield "subject", "The subject is required and must be at least one character long."
    yield from content_violations(payload.get("content") or [])
    if "reply_to" in payload and "reply_to_list" in payload:
        yield "reply_to", "Only one of reply_to and reply_to_list may be given."
    for address in [*payload.get("reply_to_list", []), payload.get("reply_to")]:
        if address is not None:
            yield from address_violations("reply_to", address)
    yield from header_violations("headers", payload.get("headers", {}))


def is_filled(value):
    return isinstance(value, str) and value != ""


def address_violations(where, address):
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", str(address.get("email", ""))):
        yield f"{where}.email", "Does not contain a valid address."


def content_violations(parts):
    if not parts:
        yield "content", "There must be at least one content block."
    types = [part.get("type") for part in parts]
    if parts and types not in (["text/plain"], ["text/html"], ["text/plain", "text/html"]):
        yield "content", "The content must be text/plain, then text/html."
    if not all(is_filled(part.get("value")) for part in parts):
        yield "content.0.value", "The content value must be a string at least one character long."


def header_violations(where, headers):
    for name, value in headers.items():
        if name.lower() in RESERVED_HEADERS:
            yield f"{where}.{name}", "The header is one of SendGrid's reserved headers."
        if not isinstance(value, str):
            yield f"{where}.{name}", "The header's value must be a string."

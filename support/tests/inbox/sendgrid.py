"""SendGrid's two webhooks as their references describe them: what it posts, and how it signs.

https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

import base64
import json
import time
from email import policy
from email.parser import BytesParser

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

INBOUND = "/anymail/sendgrid/inbound/"
TRACKING = "/anymail/sendgrid/tracking/"
SECRET = "sendgrid:correct-horse-battery"
BOUNDARY = b"xYzZY"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"


class Signer:
    """A key of SendGrid's; `public_key` is as its settings show it."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_key = base64.b64encode(der).decode()

    def sign(self, body):
        timestamp = str(int(time.time()))
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


def make_form(fields, files=()):
    """The body: fields {name: text or bytes}, files rows (name, file name, type, bytes)."""
    parts = []
    for name, value in fields.items():
        data = value if isinstance(value, bytes) else value.encode()
        head = f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        parts.append(head + data)
    for name, filename, kind, data in files:
        head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        parts.append(f"{head}Content-Type: {kind}\r\n\r\n".encode() + data)
    body = b"".join(b"--" + BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts)
    return body + b"--" + BOUNDARY + b"--\r\n"


def _common(envelope_to, envelope_from):
    envelope = {"to": envelope_to, "from": envelope_from}
    return {
        "envelope": json.dumps(envelope),
        "sender_ip": "192.0.2.7",
        "SPF": "pass",
        "dkim": "{@example.com : pass}",
        "spam_score": "0.011",
        "spam_report": "Spam detection software has not identified this as spam.",
    }


def make_raw_form(raw, to, sender="ada@example.com"):
    """As with "POST the raw, full MIME message"."""
    fields = {"email": raw, "to": to, "from": sender, "subject": "x"}
    return make_form(fields | _common([to], sender))


def flatten(message):
    """Its parts; of a mail within it not those."""
    yield message
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            yield from flatten(part)


def make_parsed_form(raw, to, sender="ada@example.com"):
    """As SendGrid takes the same mail apart by default."""
    message = BytesParser(policy=policy.compat32).parsebytes(raw)
    head = raw.partition(b"\r\n\r\n")[0] if b"\r\n\r\n" in raw else raw.partition(b"\n\n")[0]
    fields, files, info, charsets = {"headers": head + b"\n"}, [], {}, {}
    for part in flatten(message):
        kind, data = part.get_content_type(), part.get_payload(decode=True)
        if part.get_content_maintype() == "message":
            data = b"\n".join(within.as_bytes() for within in part.get_payload())
        name = {"text/plain": "text", "text/html": "html"}.get(kind)
        if data is None:
            continue
        if name and name not in fields and not part.get_filename():
            fields[name] = data
            charsets[name] = part.get_content_charset() or "us-ascii"
        else:
            key = f"attachment{len(files) + 1}"
            filename = part.get_filename() or "untitled"
            info[key] = {"filename": filename, "name": filename, "type": kind}
            files.append((key, filename, kind, data))
    fields |= _common([to], sender) | {"charsets": json.dumps(charsets)}
    if files:
        fields |= {"attachments": str(len(files)), "attachment-info": json.dumps(info)}
    return make_form(fields, files)


def make_event(kind, row, **more):
    """One event about the mail of a row, as it stands in the list that is posted."""
    event = {
        "email": "ada@example.com",
        "timestamp": int(time.time()) + 1,
        "smtp-id": f"<{row.pk}@tickets.ctxfy>",
        "event": kind,
        "category": [],
        "sg_event_id": "sg_event_id",
        "sg_message_id": "sg_message_id",
        "support_row": str(row.pk),
    }
    return event | more

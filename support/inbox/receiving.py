"""A stand-in, to be replaced by the real one."""

import hashlib
from collections.abc import Sequence
from email import message_from_bytes

from django.db import transaction

from support.hearing import Heard, write_customer_message
from support.inbound_mail import InboundMail, Outcome, Way
from support.messages import Via
from support.reply_addresses import find_ticket_id


def receive_raw(raw: bytes, way: Way, *, recipients: Sequence[str] = ()) -> Outcome:
    mail = message_from_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    ticket_id = find_ticket_id(str(mail["To"] or ""))
    outcome = Outcome.STORED if ticket_id else Outcome.UNMATCHED
    with transaction.atomic():
        row, created = InboundMail.objects.get_or_create(
            digest=digest,
            defaults={
                "way": way,
                "outcome": outcome,
                "subject": str(mail["Subject"] or "")[:500],
                "text": str(mail.get_payload())[:1000],
            },
        )
        if created and ticket_id:
            heard = Heard(str(mail.get_payload()), Via.MAIL)
            row.message, _ = write_customer_message(ticket_id, heard, leased=False)
            row.ticket_id = ticket_id
            row.save()
    return Outcome(row.outcome)

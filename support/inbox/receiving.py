"""A mail that came in becomes what it brings about, in one transaction and once.

Which ticket it is for, the token in an address that it was sent to says, and nothing else. A mail
is told from its copies by a digest, whose unique column decides: whoever dies before the commit
leaves nothing, and whoever brings the mail again changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from support.answering import record_bounce
from support.hearing import Heard, write_customer_message
from support.inbound_mail import (
    LONGEST_ADDRESS,
    LONGEST_SUBJECT,
    InboundMail,
    Outcome,
    Way,
)
from support.inbox.identity import digest_mail, find_row, find_ticket
from support.inbox.monitoring import count_mail
from support.inbox.parsing import ParsedMail, parse_raw
from support.leaked_keys import note_leaked
from support.masking import mask_parts
from support.messages import LONGEST_MESSAGE, Via
from support.models import Message, Ticket, TicketEvent, TicketState
from support.outbox import in_lock_order
from support.timeline import EventKind, make_event

LONGEST_QUOTED = 60_000
LONGEST_RAW = 200_000
# What is kept of an automatic mail's own words.
LONGEST_NOTED = 2_000
LONGEST_REASON = 200
# For one ticket; the others wait for an agent.
MAILS_AN_HOUR = 20
# Entries in one ticket's timeline; so two desks that answer each other fill none.
NOTED_AN_HOUR = 20
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Received:
    """A mail as it is stored: masked and within bounds."""

    parsed: ParsedMail
    way: Way
    ticket_id: UUID | None
    recipient: str
    digest: str
    leaked_keys: Sequence[str]

    @property
    def subject(self) -> str:
        return self.parsed.subject[:LONGEST_SUBJECT]


@dataclass(frozen=True)
class Verdict:
    """What becomes of a mail, and in plain words why."""

    outcome: Outcome
    reason: str = ""
    message: Message | None = None


def receive_raw(raw: bytes, way: Way, *, recipients: Sequence[str] = ()) -> Outcome:
    """Store a mail as it came; return what became of it, the first time that it came.

    `recipients`: whom the envelope names, where the way tells. Never raises because of what stands
    in the mail; a database that is away raises, and the mail is to be brought again.
    """
    return receive_parsed(parse_raw(raw, recipients), way)


def receive_parsed(parsed: ParsedMail, way: Way) -> Outcome:
    """The same for a mail that is parsed."""
    mail = _prepare(parsed, way)
    try:
        with transaction.atomic():
            # Whoever brings the same mail at this moment waits here, or for its digest below.
            ticket = _lock_ticket(mail.ticket_id)
            earlier = InboundMail.objects.filter(digest=mail.digest).first()
            if earlier is None:
                verdict = _settle(mail, ticket)
                _store(mail, ticket, verdict)
    except IntegrityError:
        earlier = InboundMail.objects.filter(digest=mail.digest).first()
        if earlier is None:
            raise
    if earlier is not None:
        count_mail(way, "repeated")
        return Outcome(earlier.outcome)
    count_mail(way, verdict.outcome)
    return verdict.outcome


def _prepare(parsed: ParsedMail, way: Way) -> Received:
    """Find out whose a mail is and mask it, before anything is locked or stored."""
    ticket_id, recipient = find_ticket(parsed)
    digest = digest_mail(parsed, ticket_id)
    texts, masking = mask_parts(
        [parsed.subject, parsed.text, parsed.quoted, parsed.raw, list(parsed.attachments)]
    )
    subject, text, quoted, raw, attachments = texts
    masked = replace(
        parsed,
        subject=str(subject),
        text=_cut(str(text), LONGEST_MESSAGE),
        quoted=_cut(str(quoted), LONGEST_QUOTED),
        raw=_cut(str(raw), LONGEST_RAW),
        attachments=tuple(attachments) if isinstance(attachments, list) else (),
    )
    keys = note_leaked(masking.own_keys) if masking.own_keys else []
    return Received(masked, way, ticket_id, recipient, digest, keys)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    mark = f"\n[{len(text) - longest} characters more were left out]"
    return text[: longest - len(mark)] + mark


def _lock_ticket(ticket_id: UUID | None) -> Ticket | None:
    if ticket_id is None:
        return None
    return in_lock_order(Ticket.objects.filter(pk=ticket_id)).first()


def _settle(mail: Received, ticket: Ticket | None) -> Verdict:
    """Do what the mail brings about; its ticket is locked."""
    parsed = mail.parsed
    if parsed.is_marked_generated and find_row(parsed.message_id):
        return Verdict(Outcome.IGNORED, "A mail of this service itself")
    if ticket is None:
        gone = "The ticket that it is for is not there any more" if mail.ticket_id else ""
        return Verdict(Outcome.UNMATCHED, gone or "No address that it was sent to names a ticket")
    if parsed.automatic:
        return _note_automatic(mail, ticket)
    if parsed.raw:
        return Verdict(Outcome.UNMATCHED, "It could not be read, and is kept as it came")
    if ticket.state == TicketState.CLOSED:
        return Verdict(Outcome.UNMATCHED, "Its ticket is closed")
    stored = InboundMail.objects.filter(
        ticket=ticket, outcome=Outcome.STORED, received_at__gt=timezone.now() - HOUR
    )
    if stored.count() >= MAILS_AN_HOUR:
        return Verdict(Outcome.UNMATCHED, f"More than {MAILS_AN_HOUR} mails came within an hour")
    heard = Heard(
        text=parsed.text,
        via=Via.MAIL,
        leaked_keys=mail.leaked_keys,
        sender=parsed.sender,
        quoted=parsed.quoted,
        attachments=parsed.attachments,
    )
    # Only workers mail it: a mail that comes in waits for no mail server.
    message, _ = write_customer_message(ticket.pk, heard, leased=False)
    return Verdict(Outcome.STORED, message=message)


def _note_automatic(mail: Received, ticket: Ticket) -> Verdict:
    """A bounce marks what it is about; anything else is an entry in the timeline at most."""
    bounce = mail.parsed.bounce
    row = find_row(bounce.message_id) if bounce else None
    is_ours = isinstance(row, Message) and row.ticket_id == ticket.pk
    if bounce and bounce.is_final and row is not None and is_ours:
        record_bounce(row, str(bounce), code=bounce.status)
        return Verdict(Outcome.IGNORED, f"Bounce: {bounce}")
    noted = TicketEvent.objects.filter(
        ticket=ticket, kind=EventKind.AUTOMATIC, at__gt=timezone.now() - HOUR
    )
    if noted.count() < NOTED_AN_HOUR:
        text = f"{mail.parsed.sender}: {mail.subject} ({mail.parsed.automatic})"
        make_event(ticket.pk, None, EventKind.AUTOMATIC, text=text).save()
    return Verdict(Outcome.IGNORED, mail.parsed.automatic)


def _store(mail: Received, ticket: Ticket | None, verdict: Verdict) -> None:
    """Keep the mail itself, the last of the rows that are locked."""
    parsed = mail.parsed
    row = InboundMail(
        way=mail.way,
        digest=mail.digest,
        outcome=verdict.outcome,
        reason=verdict.reason[:LONGEST_REASON],
        sender=parsed.sender[:LONGEST_ADDRESS],
        recipient=mail.recipient,
        subject=mail.subject,
        ticket=ticket,
        message=verdict.message,
    )
    if verdict.outcome == Outcome.UNMATCHED:
        row.text, row.quoted, row.raw = parsed.text, parsed.quoted, parsed.raw
        row.attachments = list(parsed.attachments)
    elif verdict.outcome == Outcome.IGNORED:
        row.text = _cut(parsed.text, LONGEST_NOTED)
    row.save(force_insert=True)

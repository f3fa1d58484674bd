"""What of tickets nobody needs any more: solved long ago, mails long settled, workers long gone."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from ctxfy_support.cleaning import delete_in_batches
from ctxfy_support.personal_data import Counts
from support.inbound_mail import Outcome
from support.models import InboundMail, Sender
from support.removal import find_old_tickets, remove_tickets

# What was done with a mail is known for so long; nobody delivers it again after that.
MAILS_KEPT_FOR = timedelta(days=90)


def clean() -> Iterator[Counts]:
    """A step of settings.CLEANINGS."""
    yield {"tickets": 0}
    if settings.TICKET_RETENTION_DAYS:
        age = timedelta(days=settings.TICKET_RETENTION_DAYS)
        for counts in remove_tickets(find_old_tickets(age), "solved_at"):
            yield {"tickets": counts["tickets"]}
    settled = InboundMail.objects.exclude(outcome=Outcome.UNMATCHED)
    old = settled.filter(received_at__lt=timezone.now() - MAILS_KEPT_FOR)
    yield from delete_in_batches("mails", old)
    Sender.objects.forget_old()

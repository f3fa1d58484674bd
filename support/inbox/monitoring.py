"""What operators see of the mail that comes in; the project's /metrics asks here."""

from ctxfy_support.metrics import Family, counters, labels
from support.inbound_mail import InboundMail, Outcome

WAITING_COUNTED = 10_000


def count_mail(way: str, outcome: str) -> None:
    """Count a mail that came in; `repeated`: one that had come before."""
    counters.add({f"support_inbound_mails_total{labels(way=way, outcome=outcome)}": 1})


def collect() -> list[Family]:
    """How many mails wait for an agent under "Mail without a ticket"."""
    waiting = InboundMail.objects.filter(outcome=Outcome.UNMATCHED).order_by()
    count = waiting.values("pk")[:WAITING_COUNTED].count()
    return [
        Family(
            "support_inbound_mails_unmatched",
            "gauge",
            f"Mails that wait for an agent, without a ticket; counted up to {WAITING_COUNTED}.",
            [("support_inbound_mails_unmatched", float(count))],
        )
    ]

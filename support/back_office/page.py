"""Everything an agent needs to know about one ticket, in one page's context."""

from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.http import Http404, QueryDict

from support.answering import can_be_mailed, fill_in
from support.back_office.agents import list_agents
from support.back_office.forms import LONGEST_NOTE
from support.back_office.queue import Queue
from support.back_office.tabs import count_up_to
from support.back_office.thread import load_thread
from support.evidence import write_context
from support.leaked_keys import find_leaked_keys, may_revoke
from support.mailboxes import find_mailbox, is_mail_configured, is_same_mailbox
from support.messages import LONGEST_MESSAGE
from support.models import CannedReply, Ticket
from support.outbox import EmailStatus
from support.triage import Priority, Tag, TicketState

EARLIER_SHOWN = 5
EARLIER_COUNTED = 1_000
TAGS_SUGGESTED = 100
CANNED_NAMED = 500

# What an answer does to the ticket's state, as its buttons say it; the first is what Enter means.
THEN = {
    TicketState.WAITING.value: "Send and wait",
    TicketState.SOLVED.value: "Send and solve",
    TicketState.OPEN.value: "Send and keep open",
}
TRUST = {
    "own": ("The account's own address", "verified_user"),
    "other": ("Not the account's address", "gpp_maybe"),
    "none": ("Not an e-mail address", "markunread_mailbox"),
}


def judge_reply_address(ticket: Ticket) -> str:
    """`own`: the account's; `other`: an e-mail address of anybody; `none`: no e-mail address.

    Compared is what a mail would be addressed to, for two domains may look alike and be two.
    """
    mailbox = find_mailbox(ticket.reply_address)
    if mailbox is None:
        return "none"
    return "own" if is_same_mailbox(mailbox, find_mailbox(ticket.user.email)) else "other"


def make_context(
    agent: AbstractUser,
    ticket: Ticket,
    queue_query: str,
    *,
    before: int | None = None,
) -> dict[str, object]:
    """The template's context; `queue_query` is the query string of the queue one came from.

    `before`: the page of the entries before this one of the timeline, to read alone.
    """
    queue = Queue(agent, QueryDict(queue_query))
    previous, following = queue.neighbours(ticket)
    keys = find_leaked_keys(ticket)
    thread = load_thread(ticket, keys, before)
    trust = judge_reply_address(ticket)
    earlier = Ticket.objects.filter(user=ticket.user).exclude(pk=ticket.pk)
    return {
        "ticket": ticket,
        "queue_query": queue_query,
        "before": previous,
        "after": following,
        "thread": thread,
        "is_past": before is not None,
        "requests": [(text, _find_log(text), quote(text)) for text in ticket.request_ids],
        "context_rows": write_context(ticket.context),
        "leaked_keys": keys,
        "can_revoke": may_revoke(agent),
        "seen": thread.entries[-1].event.pk if thread.entries else 0,
        "attempts": ticket.attempt_log,
        "trust": trust,
        "trust_text": TRUST[trust][0],
        "trust_icon": TRUST[trust][1],
        "can_be_mailed": can_be_mailed(ticket),
        "come_back_here": bool(settings.SUPPORT_EMAIL_REPLIES),
        "then_choices": THEN,
        "mail_is_configured": is_mail_configured(),
        "can_resend": ticket.email_status != EmailStatus.SENT,
        "earlier": list(earlier.defer("message", "attempt_log")[:EARLIER_SHOWN]),
        "earlier_count": count_up_to(earlier, EARLIER_COUNTED),
        "earlier_limit": EARLIER_COUNTED,
        "is_mine": ticket.assignee_id == agent.pk,
        "agents": list_agents(),
        "states": TicketState.choices,
        "priorities": Priority.choices,
        "all_tags": Tag.objects.all()[:TAGS_SUGGESTED],
        "tags": ", ".join(tag.name for tag in ticket.tags.all()),
        # Their names alone; a text is asked for when somebody chooses it.
        "canned": list(CannedReply.objects.defer("text")[:CANNED_NAMED]),
        "longest_reply": LONGEST_MESSAGE,
        "longest_note": LONGEST_NOTE,
        "subtitle": None,
    }


def _find_log(request_id: str) -> str:
    """Where the operator's logs of a request are; empty where nobody has said so."""
    return settings.REQUEST_LOG_URL.replace("{request_id}", quote(request_id, safe=""))


def get_canned_text(canned_id: int, ticket: Ticket, agent: AbstractUser) -> str:
    """A canned reply, filled in for this ticket; raise Http404 where there is none."""
    canned = CannedReply.objects.filter(pk=canned_id).first()
    if canned is None:
        raise Http404
    return fill_in(canned, ticket, agent)

"""SendGrid's two webhooks, Anymail's own views: mail that came in, and what became of ours.

They exist while ANYMAIL_WEBHOOK_SECRET is set. Who knows it is found out from the head of a
request, before its body is read; a signature, where a key is set, covers the body. Whatever an
authenticated mail holds is stored, readable or not: an answer of 4xx could lose it, and 5xx (the
database is away) has it brought again.
"""

import json
import logging
from collections.abc import Callable, Iterable
from email.parser import BytesParser
from http import HTTPStatus
from typing import Any

from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import AnymailInboundEvent, AnymailTrackingEvent, EventType, inbound, tracking
from anymail.utils import get_request_basic_auth
from anymail.webhooks.sendgrid import (
    SendGridBaseWebhookView,
    SendGridInboundWebhookView,
    SendGridTrackingWebhookView,
)
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt

from ctxfy_support.client_address import get_client_network
from support.delivery import attempts
from support.delivery.email_backends import without_support_warning
from support.inbound_mail import Outcome, Way
from support.inbox.bounces import note_bounced, note_complaint, note_delivered
from support.inbox.parsing import ParsedMail, parse_message, parse_raw, parse_unreadable
from support.inbox.reading import SAFE, read_children, read_content, read_parameter
from support.inbox.receiving import receive_parsed
from support.inbox.wrong_secrets import wrong_secrets

logger = logging.getLogger(__name__)


class InboundEvent(AnymailInboundEvent):
    """A mail that came in, as our own parser has read it."""

    parsed: ParsedMail


class InboundView(SendGridBaseWebhookView, SendGridInboundWebhookView):
    """Anymail's view for Inbound Parse, which checks signatures as its tracking view does."""

    key_setting_name = "inbound_webhook_verification_key"

    def __init__(self, **kwargs: Any) -> None:
        with without_support_warning():
            super().__init__(**kwargs)

    def parse_events(self, request: HttpRequest) -> list[InboundEvent]:
        event = InboundEvent(event_type=EventType.INBOUND, esp_event=request)
        event.parsed = self._read(request)
        return [event]

    def _read(self, request: HttpRequest) -> ParsedMail:
        """The mail, whether SendGrid took it apart or (send raw) not."""
        try:
            sender, recipients = _read_envelope(request.POST.get("envelope", ""))
            raw = request.POST.get("email")
            if raw is not None:
                # A character that was no UTF-8 is lost in Django's text.
                exact = raw.encode() if "\ufffd" not in raw else _read_form(request)["email"]
                return parse_raw(exact, recipients, sender)
            if "headers" in request.POST:
                message = super().esp_to_anymail_event(request).message
                return parse_message(message, recipients, sender)
        except (UnreadablePostError, AnymailWebhookValidationFailure):
            raise
        except Exception:
            logger.warning("A mail could not be read as SendGrid took it apart", exc_info=True)
        return _read_by_hand(request)


class TrackingView(SendGridTrackingWebhookView):
    """Anymail's view for the event webhook; one event that makes no sense spoils no other."""

    def __init__(self, **kwargs: Any) -> None:
        with without_support_warning():
            super().__init__(**kwargs)

    def parse_events(self, request: HttpRequest) -> list[AnymailTrackingEvent]:
        try:
            told = json.loads(request.body)
        except (ValueError, RecursionError):
            raise AnymailWebhookValidationFailure("no JSON") from None
        events = told if isinstance(told, list) else []
        return [event for one in events if (event := self._read(one))]

    def _read(self, told: object) -> AnymailTrackingEvent | None:
        try:
            event: AnymailTrackingEvent = self.esp_to_anymail_event(told)
        except Exception:
            logger.warning("An event of SendGrid's makes no sense", exc_info=True)
            return None
        return event


def receive(sender: object, event: InboundEvent, **kwargs: object) -> None:
    """Store a mail, and see to its own mail to SUPPORT_EMAIL at no cost of this request."""
    if receive_parsed(event.parsed, Way.SENDGRID) == Outcome.STORED:
        attempts.probe_in_background()


def note(sender: object, event: AnymailTrackingEvent, **kwargs: object) -> None:
    """Note what became of a mail of ours; opens and clicks are nobody's business."""
    match event.event_type:
        case EventType.BOUNCED:
            note_bounced(event.metadata, event.mta_response, event.timestamp)
        case EventType.REJECTED:
            reason = event.esp_event.get("reason") or event.reject_reason
            note_bounced(event.metadata, f"SendGrid dropped it: {reason}", event.timestamp)
        case EventType.COMPLAINED:
            note_complaint(event.metadata)
        case EventType.DELIVERED:
            note_delivered(event.metadata, event.timestamp)


inbound.connect(receive, sender=InboundView)
tracking.connect(note, sender=TrackingView)


def guard(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let nobody near a view who does not know the secret; no word why."""

    @csrf_exempt
    def guarded(request: HttpRequest) -> HttpResponseBase:
        secret = str(settings.ANYMAIL["WEBHOOK_SECRET"])
        if not secret:
            raise Http404
        network = get_client_network(request)
        if wait := wrong_secrets.seconds_to_wait(network):
            answer = HttpResponse(status=HTTPStatus.TOO_MANY_REQUESTS)
            answer["Retry-After"] = str(wait)
            return answer
        sent = str(get_request_basic_auth(request) or "")
        if not constant_time_compare(sent, secret):
            wrong_secrets.note_wrong(network)
            return HttpResponse(status=HTTPStatus.FORBIDDEN)
        wrong_secrets.note_right(network)
        try:
            len(request.body)  # Read here, in one place where it can be too large or not whole.
        except RequestDataTooBig:
            return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except UnreadablePostError:
            return HttpResponse(status=HTTPStatus.BAD_REQUEST)
        return view(request)

    return guarded


def _read_envelope(text: str) -> tuple[str | None, list[str]]:
    """Whom SMTP named: (sender, None where it is not told; recipients)."""
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError):
        return None, []
    if not isinstance(envelope, dict):
        return None, []
    sender, recipients = envelope.get("from"), envelope.get("to")
    listed: Iterable[object] = recipients if isinstance(recipients, list) else [recipients]
    return (
        sender if isinstance(sender, str) else None,
        [recipient for recipient in listed if isinstance(recipient, str)],
    )


def _read_form(request: HttpRequest) -> dict[str, bytes]:
    """The form's fields as the bytes that were sent, whatever Django makes of them."""
    head = f"Content-Type: {request.META.get('CONTENT_TYPE', '')}\r\n\r\n".encode("latin-1")
    form = BytesParser(policy=SAFE).parsebytes(head + request.body)
    return {
        read_parameter(field, "content-disposition", "name"): read_content(field)
        for field in read_children(form)
    }


def _read_by_hand(request: HttpRequest) -> ParsedMail:
    """What neither Anymail nor Django can read is kept as it came."""
    try:
        fields = _read_form(request)
    except Exception:
        fields = {}
    if "email" not in fields and "headers" not in fields:
        raise SuspiciousOperation("this is no mail")
    _, recipients = _read_envelope(fields.get("envelope", b"").decode("utf-8", "replace"))
    if "email" in fields:
        return parse_raw(fields["email"], recipients)
    body = fields.get("text") or fields.get("html", b"")
    return parse_unreadable(fields["headers"].strip() + b"\r\n\r\n" + body, recipients)

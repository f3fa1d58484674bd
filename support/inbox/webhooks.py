"""SendGrid's two webhooks, Anymail's own views: mail that came in, and what became of ours.

They exist while ANYMAIL_WEBHOOK_SECRET is set. Who knows it is found out from the head of a
request, before its body is read; a signature, where a key is set, covers the body. Whatever an
authenticated mail holds is stored, readable or not: an answer of 4xx could lose it, and 5xx (the
database is away) has it brought again.
"""

import json
import logging
from collections.abc import Callable
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
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt

from ctxfy_support.client_address import get_client_network
from support.delivery import attempts
from support.delivery.email_backends import without_support_warning
from support.inbound_mail import Outcome, Way
from support.inbox.bounces import note_bounced, note_complaint, note_delivered
from support.inbox.parsing import ParsedMail
from support.inbox.receiving import receive_parsed
from support.inbox.sendgrid_form import read_mail
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
        event.parsed = read_mail(request, self.message_from_sendgrid_parsed)
        return [event]


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

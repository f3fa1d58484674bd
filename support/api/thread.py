"""/v1/support/tickets/<id>/messages: what was said on a ticket, and what a customer adds."""

from typing import Any, cast

from django.http import Http404
from rest_framework import status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from ctxfy_support.ids import parse_id
from ctxfy_support.log_context import note
from support.api.changes import TicketClosed
from support.api.idempotency import KeyReused, digest_content, find_idempotency_key
from support.api.outcome import await_first_attempt
from support.api.thread_pages import ThreadPages
from support.api.thread_schema import document_messages
from support.api.thread_serializers import MessageSerializer, NewMessageSerializer
from support.delivery import attempts
from support.hearing import Heard, TicketClosedError, write_customer_message
from support.leaked_keys import note_leaked
from support.masking import mask_fields
from support.messages import Message, Via
from support.models import Ticket

NEW_MESSAGE, MESSAGE = NewMessageSerializer(), MessageSerializer()


@document_messages
class MessageViewSet(viewsets.GenericViewSet[Message]):
    """Shows an account the thread of its ticket, and takes what it adds."""

    http_method_names = ["get", "head", "post"]
    serializer_class = MessageSerializer
    pagination_class = ThreadPages

    def get_opening(self) -> dict[str, Any]:
        """The ticket's own message as a row of the thread.

        Anybody else's ticket, an unknown and a malformed id are one 404.
        """
        if ticket_id := parse_id(self.kwargs["pk"]):
            note(ticket_id=str(ticket_id))
            mine = Ticket.objects.filter(user=self.request.user.pk, pk=ticket_id)
            columns = ("id", "created_at", "message", "email_status", "sent_at")
            if row := mine.values(*columns).first():
                return {**row, "via": Via.API, "text": row["message"]}
        raise Http404

    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        opening = self.get_opening()
        pages = cast(ThreadPages, self.paginator)
        rows = pages.paginate_thread(opening, MESSAGE.sources, request)
        return self.get_paginated_response([MESSAGE.to_representation(row) for row in rows])

    def create(self, request: Request, *args: object, **kwargs: object) -> Response:
        ticket_id = self.get_opening()["id"]
        sent = NEW_MESSAGE.run_validation(request.data)
        fields, masking = mask_fields(sent)
        heard = Heard(
            text=str(fields["message"]),
            via=Via.API,
            content_digest=digest_content(fields),
            idempotency_key=find_idempotency_key(request),
            leaked_keys=note_leaked(masking.own_keys) if masking.own_keys else (),
        )
        inline = attempts.sends_inline()
        try:
            message, created = write_customer_message(ticket_id, heard, leased=inline)
        except TicketClosedError:
            raise TicketClosed from None
        except Ticket.DoesNotExist:
            raise Http404 from None  # Deleted this very moment.
        headers = {"X-Redacted": str(masking.count)} if masking.count else {}
        # Committed: from here on the message cannot be lost, whatever the mail does.
        if not created:
            if message.content_digest != heard.content_digest:
                raise KeyReused
            headers["Idempotent-Replayed"] = "true"
            await_first_attempt(message)
        elif inline:
            attempts.attempt(message)
        else:
            attempts.probe_in_background()
        body = MESSAGE.to_representation(message)
        return Response(body, status.HTTP_201_CREATED, headers=headers)

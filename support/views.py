"""/v1/support/tickets."""

import time
from typing import Any

from django.conf import settings
from django.http import Http404
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from ctxfy_support.ids import parse_id
from support import delivery
from support.idempotency import find_idempotency_key
from support.models import ContentChangedError, Ticket, TicketQuerySet
from support.monitoring import count_ticket
from support.schema import document_tickets
from support.serializers import NewTicketSerializer, TicketReceiptSerializer, TicketSerializer

FIRST_ATTEMPT_POLL_SECONDS = 0.05


class KeyReused(APIException):
    """An Idempotency-Key came again with another content."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key was used before, for a ticket with another content"
    default_code = "idempotency_key_reused"


@document_tickets
class TicketViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Ticket]
):
    """Takes tickets and shows an account its own.

    The answer to a new ticket is honest about the mail, and waits no longer than its deadline.
    """

    http_method_names = ["get", "head", "post"]
    serializer_class = TicketSerializer
    plural = "tickets"

    def get_queryset(self) -> TicketQuerySet:
        shown = ("id", "created_at", "email_status", "sent_at", "type", "reply_address", "message")
        mine = Ticket.objects.filter(user=self.request.user.pk)
        return mine.only(*shown, "state", "updated_at")

    def get_object(self) -> Ticket:
        """The caller's ticket; anybody else's, an unknown and a malformed id are one 404."""
        ticket_id = parse_id(self.kwargs["pk"])
        ticket: Ticket | None = None
        if ticket_id is not None:
            ticket = self.get_queryset().filter(pk=ticket_id).first()
        if ticket is None:
            raise Http404
        return ticket

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = NewTicketSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        inline = delivery.sends_inline()
        try:
            ticket, created = Ticket.objects.submit(
                request.user,
                request.auth,
                serializer.validated_data,
                leased=inline,
                idempotency_key=find_idempotency_key(request),
            )
        except ContentChangedError:
            raise KeyReused from None
        headers = {"Location": f"{request.path}/{ticket.pk}"}
        # The INSERT has committed: from here on the ticket cannot be lost, whatever the mail does.
        if not created:
            headers["Idempotent-Replayed"] = "true"
            self.await_first_attempt(ticket)
        else:
            count_ticket(ticket.type)
            if inline:
                delivery.attempt(ticket)
            else:
                delivery.probe_in_background()
        body = TicketReceiptSerializer(ticket).data
        return Response(body, status.HTTP_201_CREATED, headers=headers)

    def await_first_attempt(self, ticket: Ticket) -> None:
        """Let a replay that overtook its first request answer with the outcome of its mail."""
        if settings.SUPPORT_EMAIL_DELIVERY != "inline":
            return
        end = time.monotonic() + settings.SUPPORT_EMAIL_DEADLINE
        while ticket.is_in_first_attempt() and time.monotonic() < end:
            time.sleep(FIRST_ATTEMPT_POLL_SECONDS)
            ticket.refresh_from_db()

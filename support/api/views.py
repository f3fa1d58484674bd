"""/v1/support/tickets."""

from typing import cast

from django.http import Http404
from rest_framework import status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from ctxfy_support.entity_tags import tag_answer
from ctxfy_support.ids import parse_id
from ctxfy_support.log_context import note
from ctxfy_support.pagination import PageEnvelope
from ctxfy_support.query_parameters import read_query
from support.api.changes import TicketChangeSerializer, TicketClosed
from support.api.filters import TICKET_FILTERS
from support.api.idempotency import (
    digest_content,
    find_idempotency_key,
    require_same_content,
)
from support.api.outcome import await_first_attempt
from support.api.schema import document_tickets
from support.api.serializers import NewTicketSerializer, TicketReceiptSerializer, TicketSerializer
from support.delivery import attempts
from support.delivery.monitoring import count_ticket
from support.leaked_keys import note_leaked
from support.masking import mask_fields
from support.models import AccountKey, Ticket, TicketQuerySet, TicketState

# One of each for all requests: they keep nothing, and to build one costs more than to use it.
NEW_TICKET, RECEIPT, TICKET = NewTicketSerializer(), TicketReceiptSerializer(), TicketSerializer()
CHANGE = TicketChangeSerializer()


class TicketPages(PageEnvelope):
    """A page of tickets, newest first."""

    plural = "tickets"
    filters = TICKET_FILTERS


@document_tickets
class TicketViewSet(viewsets.GenericViewSet[Ticket]):
    """Takes tickets and shows an account its own.

    The answer to a new ticket is honest about the mail, and waits no longer than its deadline.
    """

    http_method_names = ["get", "head", "post", "patch"]
    serializer_class = TicketSerializer
    pagination_class = TicketPages

    def get_queryset(self) -> TicketQuerySet:
        return Ticket.objects.filter(user=self.request.user.pk)

    def get_mine(self) -> TicketQuerySet:
        """The caller's ticket of the address; for anybody else's or an unknown id none.

        Raises Http404 for a malformed one, so that all three look the same.
        """
        ticket_id = parse_id(self.kwargs["pk"])
        if ticket_id is None:
            raise Http404
        note(ticket_id=str(ticket_id))
        return self.get_queryset().filter(pk=ticket_id)

    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        page = self.paginate_queryset(self.get_queryset().values(*TICKET.sources))
        return self.get_paginated_response([TICKET.to_representation(row) for row in page or ()])

    def retrieve(self, request: Request, *args: object, **kwargs: object) -> Response:
        """The caller's ticket, or a 304 if it is still what the caller has."""
        read_query(request)
        if row := self.get_mine().values(*TICKET.sources).first():
            return tag_answer(request, Response(TICKET.to_representation(row)))
        raise Http404

    def partial_update(self, request: Request, *args: object, **kwargs: object) -> Response:
        """The caller says that the ticket is solved; once more changes nothing."""
        CHANGE.run_validation(request.data)
        mine = self.get_mine()
        is_moved = mine.solve_for(cast(AccountKey, request.auth).user)
        row = mine.values(*TICKET.sources).first()
        if row is None:
            raise Http404
        if row["state"] == TicketState.CLOSED and not is_moved:
            raise TicketClosed
        return tag_answer(request, Response(TICKET.to_representation(row)))

    def create(self, request: Request, *args: object, **kwargs: object) -> Response:
        sent = NEW_TICKET.run_validation(request.data)
        fields, masking = mask_fields(sent)
        leaks = {"leaked_keys": note_leaked(masking.own_keys)} if masking.own_keys else {}
        inline = attempts.sends_inline()
        ticket, created = Ticket.objects.submit(
            cast(AccountKey, request.auth),
            fields | leaks,
            leased=inline,
            content_digest=digest_content(fields),
            idempotency_key=find_idempotency_key(request),
        )
        note(ticket_id=str(ticket.pk))
        if not created:
            require_same_content(ticket, fields, sent)
        headers = {"Location": f"{request.path}/{ticket.pk}"}
        if masking.count:
            headers["X-Redacted"] = str(masking.count)
        # The INSERT has committed: from here on the ticket cannot be lost, whatever the mail does.
        if not created:
            headers["Idempotent-Replayed"] = "true"
            await_first_attempt(ticket)
        else:
            count_ticket(ticket.type)
            if inline:
                attempts.attempt(ticket)
            else:
                attempts.probe_in_background()
        body = RECEIPT.to_representation(ticket)
        return Response(body, status.HTTP_201_CREATED, headers=headers)

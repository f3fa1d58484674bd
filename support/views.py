"""/v1/support/tickets."""

from typing import Any

from rest_framework import status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from support import delivery
from support.models import Ticket
from support.serializers import NewTicketSerializer, TicketReceiptSerializer


class TicketViewSet(viewsets.GenericViewSet[Ticket]):
    """Takes tickets. The answer is honest about the mail and waits no longer than its deadline."""

    queryset = Ticket.objects.all()
    serializer_class = NewTicketSerializer
    http_method_names = ["post", "get", "head"]

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        inline = delivery.sends_inline()
        ticket = Ticket.objects.submit(
            request.user, request.auth, leased=inline, **serializer.validated_data
        )
        # The INSERT has committed: from here on the ticket cannot be lost, whatever the mail does.
        if inline:
            delivery.attempt(ticket)
        return Response(
            TicketReceiptSerializer(ticket).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{request.path}/{ticket.pk}"},
        )

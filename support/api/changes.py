"""What a ticket's owner can change: say that it is solved, unless it is closed."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, status

from ctxfy_support.envelope import Refusal
from support.models import Ticket
from support.triage import TicketState


class TicketClosed(Refusal):
    """The customer's word comes too late: the ticket is closed, for good."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This ticket is closed, and nothing changes it any more. Open a new one"
    default_code = "ticket_closed"


@extend_schema_field({"type": "string", "enum": [TicketState.SOLVED.value]})
class SolvedField(serializers.Field[str, object, str, object]):
    default_error_messages = {
        "required": "This field is required",
        "null": "Must be solved",
        "not_solved": "Must be solved",
    }

    def to_internal_value(self, data: object) -> str:
        if data != TicketState.SOLVED.value:
            self.fail("not_solved")
        return TicketState.SOLVED.value


class TicketChangeSerializer(serializers.Serializer[Ticket]):
    """What a client sends; anything else is ignored."""

    state = SolvedField(help_text="`solved` is the only value: you need no more help with it.")

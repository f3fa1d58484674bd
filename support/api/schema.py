"""What the OpenAPI document says of /v1/support/tickets; the constraints come from the fields."""

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
    extend_schema_view,
)
from rest_framework import serializers

from ctxfy_support.openapi import (
    PAGE_PARAMETERS,
    PaginationSerializer,
    annotate,
    make_line_pattern,
)
from support.api.idempotency import BARE_KEY, QUOTED_KEY
from support.api.serializers import NewTicketSerializer, TicketReceiptSerializer, TicketSerializer
from support.mailboxes import LONGEST_LOCAL_PART
from support.models import LONGEST_IDEMPOTENCY_KEY, TicketState
from support.outbox import EmailStatus

_ID = "0193a2c4-5d6e-7f80-9a1b-2c3d4e5f6071"
_NEW = {
    "type": "billing",
    "reply_address": "ada@example.com",
    "message": "Charged twice in October.",
}
_SENT = {
    "id": _ID,
    "created_at": "2026-11-23T10:00:00.123456Z",
    "status": "sent",
    "sent_at": "2026-11-23T10:00:00.456789Z",
}
_PENDING = _SENT | {"status": "pending", "sent_at": None}
_TICKET = _SENT | _NEW | {"state": "open", "updated_at": "2026-11-23T10:12:31.204817Z"}

_RECEIPT_NOTES: dict[str, dict[str, Any]] = {
    "id": {"description": "Opaque; it cannot be guessed. Keep it to ask for the ticket later."},
    "created_at": {"description": "When we stored it. RFC 3339, UTC."},
    "status": {
        "enum": EmailStatus.values,
        "description": "What became of the e-mail to the support team. `sent`: the mail provider "
        "accepted it. `pending`: it is tried again without your help. `failed`: given up; agents "
        "see it and can resend it. `stored`: this service keeps tickets and mails none.",
    },
    "sent_at": {
        "type": ["string", "null"],
        "description": "When the provider accepted the e-mail; null until then.",
    },
}


_NOTES: dict[str, dict[str, dict[str, Any]]] = {
    "NewTicket": {
        "type": {
            "description": "What it is about, in your words: `billing`, `technical`, `feedback` "
            "or anything else. One line; spaces around it are dropped."
        },
        "reply_address": {
            "description": "Where to answer: an e-mail address or any other, such as "
            "`123 Main St`. With an `@` in it, it must be one valid e-mail address, with at most "
            "64 octets before the `@`. One line.",
            "pattern": None,
            # "=?" would begin an encoded word (RFC 2047) in the mail's header.
            "anyOf": [
                {"pattern": make_line_pattern(without="@")},
                {
                    "format": "email",
                    "pattern": rf"^\s*[^@]{{1,{LONGEST_LOCAL_PART}}}@[^@]+$",
                    "not": {"pattern": r"=\?"},
                },
            ],
        },
        "message": {
            "description": "What happened, kept as you write it, line breaks and tabs too. Other "
            "control characters are refused, and so is white space alone."
        },
    },
    "TicketReceipt": _RECEIPT_NOTES,
    "Ticket": _RECEIPT_NOTES
    | {
        "type": {"description": "As you sent it."},
        "reply_address": {"description": "As you sent it."},
        "message": {"description": "As you sent it."},
        "state": {
            "enum": TicketState.values,
            "description": "Where the support team stands with it.",
        },
        "updated_at": {"description": "When any of this last changed. RFC 3339, UTC."},
    },
}


@extend_schema_serializer(many=False)
class TicketPageSerializer(serializers.Serializer[Any]):
    """A page of tickets, newest first."""

    tickets = TicketSerializer(many=True, help_text="The page's tickets.")
    pagination = PaginationSerializer()


document_tickets = extend_schema_view(
    create=extend_schema(
        operation_id="createTicket",
        tags=["Support tickets"],
        summary="Open a ticket",
        description="Stores the ticket together with your plan and token balance as they are at "
        "this moment, and mails it to the support team. Once you read `201`, the ticket is "
        "stored, whatever becomes of the mail; `status` says what did.\n\n"
        "After a time-out, send it again with the same `Idempotency-Key`: you get the first "
        "ticket, not a second one. Unknown fields are ignored.",
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": LONGEST_IDEMPOTENCY_KEY,
                    "pattern": f"^(?:{BARE_KEY}|{QUOTED_KEY})$",
                },
                OpenApiParameter.HEADER,
                description="Your own name for this ticket, 1 to "
                f"{LONGEST_IDEMPOTENCY_KEY} printable ASCII characters without a comma, quoted or "
                "bare; a UUID is a good one. It never expires.",
                examples=[OpenApiExample("A UUID", "5f0c6f5e-8d0a-4f8e-9c55-0d1f3c2b7a94")],
            ),
            OpenApiParameter(
                "Location",
                str,
                OpenApiParameter.HEADER,
                required=True,
                description="The path of the ticket.",
                examples=[OpenApiExample("Path", f"/v1/support/tickets/{_ID}")],
                response=[201],
            ),
            OpenApiParameter(
                "Idempotent-Replayed",
                {"type": "string", "const": "true"},
                OpenApiParameter.HEADER,
                description="`true` where this answer is about a ticket that an earlier request "
                "with the same `Idempotency-Key` opened; absent otherwise.",
                response=[201],
            ),
        ],
        request=NewTicketSerializer,
        responses={201: OpenApiResponse(TicketReceiptSerializer, "The ticket is stored.")},
        examples=[
            OpenApiExample("A mail address", _NEW, request_only=True),
            OpenApiExample(
                "Any other address",
                _NEW | {"type": "feedback", "reply_address": "123 Main St"},
                request_only=True,
            ),
            OpenApiExample("Mailed", _SENT, response_only=True, status_codes=["201"]),
            OpenApiExample("Mail waits", _PENDING, response_only=True, status_codes=["201"]),
        ],
    ),
    list=extend_schema(
        operation_id="listTickets",
        tags=["Support tickets"],
        summary="List your tickets",
        description="Your account's tickets, newest first, whichever of its keys opened them.",
        parameters=PAGE_PARAMETERS,
        responses={200: OpenApiResponse(TicketPageSerializer, "A page of tickets.")},
        examples=[
            OpenApiExample(
                "The first of two pages",
                {
                    "tickets": [_TICKET],
                    "pagination": {"page": 1, "per_page": 25, "total": 42, "pages": 2},
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    ),
    retrieve=extend_schema(
        operation_id="getTicket",
        tags=["Support tickets"],
        summary="Get a ticket",
        description="One ticket of your account, with what became of its mail and where the "
        "support team stands with it.",
        parameters=[
            OpenApiParameter(
                "id", str, OpenApiParameter.PATH, description="The `id` that the ticket got."
            )
        ],
        responses={200: OpenApiResponse(TicketSerializer, "The ticket.")},
        examples=[OpenApiExample("A ticket", _TICKET, response_only=True, status_codes=["200"])],
    ),
)


def add_notes(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook: what the fields of tickets mean."""
    annotate(result, _NOTES)
    return result

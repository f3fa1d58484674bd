"""What the OpenAPI document says of /v1/support/tickets; the constraints come from the fields."""

from dataclasses import replace
from datetime import timedelta

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from ctxfy_support.answers import Part, allow_more
from ctxfy_support.entity_tags import ETAG
from ctxfy_support.envelope import make_error
from ctxfy_support.error_answers import ErrorAnswer
from ctxfy_support.openapi import annotate, make_line_pattern
from support.api.changes import TicketChangeSerializer, TicketClosed
from support.api.idempotency import KeyReused
from support.api.parameters import (
    ID_PARAMETER,
    IDEMPOTENCY_KEY,
    REDACTED,
    REPLAYED,
    TICKET_ID,
    make_etag,
)
from support.api.serializers import NewTicketSerializer, TicketReceiptSerializer, TicketSerializer
from support.mailboxes import INVALID_EMAIL
from support.messages import Via
from support.models import TicketState
from support.outbox import GIVE_UP_AFTER, EmailStatus

_NEW = {
    "type": "billing",
    "reply_address": "ada@example.com",
    "message": "Charged twice in October.",
}
_SENT = {
    "id": TICKET_ID,
    "created_at": "2026-11-23T10:00:00.123456Z",
    "status": "sent",
    "sent_at": "2026-11-23T10:00:00.456789Z",
}
_EVIDENCE = {
    "request_ids": ["req_9f2c4e7a1b3d5f6087a9c2e4"],
    "context": {"sdk": "ctxfy-python 2.14.1", "model": "claude-opus-4-1", "attempt": 3},
}
_PENDING = _SENT | {"status": "pending", "sent_at": None}
_STATE = {"state": "open", "updated_at": "2026-11-23T10:12:31.204817Z"}
_TICKET = _SENT | _NEW | _STATE | _EVIDENCE

# What help texts cannot say.
_NOTES: dict[str, dict[str, Part]] = {
    # Wider than what is taken: no pattern says what an e-mail address is.
    "TicketRequest": {"reply_address": {"pattern": make_line_pattern(address=True)}},
    "TicketReceipt": {"status": allow_more(*EmailStatus.values)},
    "Ticket": {
        "status": allow_more(*EmailStatus.values),
        "state": allow_more(*TicketState.values),
    },
    "TicketMessage": {
        "author": allow_more("customer", "support"),
        "via": allow_more(*Via.values),
        "status": allow_more(*EmailStatus.values),
    },
}
GUIDE_FACTS = {"give_up_after_hours": GIVE_UP_AFTER // timedelta(hours=1)}

document_tickets = extend_schema_view(
    create=extend_schema(
        operation_id="createTicket",
        tags=["Support tickets"],
        summary="Open a ticket",
        description="Stores the ticket together with your plan and token balance as they are at "
        "this moment, and mails it to the support team. Once you read `201`, the ticket is "
        "stored, whatever becomes of the mail; `status` says what did.\n\n"
        "After a time-out, send it again with the same `Idempotency-Key`: you get the first "
        "ticket, not a second one. Unknown fields are ignored.\n\n"
        "API keys, passwords, private keys and card numbers in `message`, `request_ids` and "
        "`context` are masked before anything is stored; `X-Redacted` counts them.",
        parameters=[
            IDEMPOTENCY_KEY,
            OpenApiParameter(
                "Location",
                str,
                OpenApiParameter.HEADER,
                required=True,
                description="The path of the ticket.",
                examples=[OpenApiExample("Path", f"/v1/support/tickets/{TICKET_ID}")],
                response=[201],
            ),
            REPLAYED,
            REDACTED,
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
            OpenApiExample("With evidence", _NEW | _EVIDENCE, request_only=True),
            OpenApiExample("Mailed", _SENT, response_only=True, status_codes=["201"]),
            OpenApiExample("Mail waits", _PENDING, response_only=True, status_codes=["201"]),
        ],
    ),
    list=extend_schema(
        operation_id="listTickets",
        tags=["Support tickets"],
        summary="List your tickets",
        description="Your account's tickets, newest first, whichever of its keys opened them. "
        "Filters add up: a row passes all that you give.\n\n"
        "To read all of them follow the `Link` of each page. It neither repeats nor skips a "
        "ticket, whatever is opened meanwhile.",
        responses={200: OpenApiResponse(TicketSerializer, "A page of tickets.")},
        examples=[OpenApiExample("The first of two pages", _TICKET, response_only=True)],
    ),
    retrieve=extend_schema(
        operation_id="getTicket",
        tags=["Support tickets"],
        summary="Get a ticket",
        description="One ticket of your account, with what became of its mail and where the "
        "support team stands with it.",
        parameters=[
            ID_PARAMETER,
            OpenApiParameter(
                "If-None-Match",
                str,
                OpenApiParameter.HEADER,
                description="`ETag`s that you have. If the ticket still has one of them, the "
                "answer is `304` without a body. It counts against your limit like any other.",
                examples=[OpenApiExample("A tag", ETAG["example"])],
            ),
            make_etag([200, 304]),
        ],
        responses={
            200: OpenApiResponse(TicketSerializer, "The ticket."),
            304: OpenApiResponse(description="The ticket is what `If-None-Match` says you have."),
        },
        examples=[OpenApiExample("A ticket", _TICKET, response_only=True, status_codes=["200"])],
    ),
    partial_update=extend_schema(
        operation_id="updateTicket",
        tags=["Support tickets"],
        summary="Say that it is solved",
        description="Tells the support team that you need no more help with this ticket, and "
        "answers with the ticket. Doing it again is fine. A closed ticket is a `409`.",
        parameters=[ID_PARAMETER, make_etag([200])],
        request=TicketChangeSerializer,
        responses={200: OpenApiResponse(TicketSerializer, "The ticket, solved.")},
        examples=[
            OpenApiExample("Solved", {"state": "solved"}, request_only=True),
            OpenApiExample(
                "The ticket",
                _TICKET | {"state": "solved"},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    ),
)


def add_notes(result: Part, **kwargs: object) -> Part:
    """drf-spectacular's postprocessing hook: what the fields of tickets take and give."""
    annotate(result, _NOTES)
    return result


def _takes_an_idempotency_key(path: str, operation: Part) -> bool:
    return any(row["name"] == "Idempotency-Key" for row in operation.get("parameters", []))


def _changes_a_ticket(path: str, operation: Part) -> bool:
    return operation["operationId"] in {"updateTicket", "createMessage"}


def add_errors(errors: dict[int, ErrorAnswer]) -> dict[int, ErrorAnswer]:
    """One of settings.API_ERRORS: a key that comes again, and an example of a wrong field."""
    wrong_field = make_error(400, details=[{"field": "reply_address", "message": INVALID_EMAIL}])
    return errors | {
        400: replace(errors[400], examples=(("A field", wrong_field), *errors[400].examples)),
        409: errors[409].widen(
            _changes_a_ticket, ("A closed ticket", make_error(409, TicketClosed.default_detail))
        ),
        422: ErrorAnswer(
            "IdempotencyKeyReused",
            "This `Idempotency-Key` belongs to a ticket with another content. Nothing was stored: "
            "take a new key for a new ticket.",
            counted=True,
            examples=(("Another content", make_error(422, KeyReused.default_detail)),),
            concerns=_takes_an_idempotency_key,
        ),
    }

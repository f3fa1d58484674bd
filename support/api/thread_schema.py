"""What the OpenAPI document says of a ticket's messages."""

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from support.api.parameters import (
    ID_PARAMETER,
    IDEMPOTENCY_KEY,
    REDACTED,
    REPLAYED,
    TICKET_ID,
)
from support.api.thread_serializers import MessageSerializer, NewMessageSerializer

_NEW = {"message": "It happened again at 14:02 UTC."}
_WRITTEN = {
    "id": "0193a2c9-11aa-7c3e-8f52-7b1d0e9a4c66",
    "created_at": "2026-11-23T14:05:12.004211Z",
    "author": "customer",
    "via": "api",
    "text": "It happened again at 14:02 UTC.",
    "status": "sent",
    "sent_at": "2026-11-23T14:05:12.331905Z",
}
_OPENING = {
    "id": TICKET_ID,
    "created_at": "2026-11-23T10:00:00.123456Z",
    "author": "customer",
    "via": "api",
    "text": "Charged twice in October.",
    "status": "sent",
    "sent_at": "2026-11-23T10:00:00.456789Z",
}
_ANSWER = {
    "id": "0193a2c5-7d10-7b21-a0c4-55d1a2e3f407",
    "created_at": "2026-11-23T10:12:31.204817Z",
    "author": "support",
    "via": "back-office",
    "text": "Hello Ada, the second charge is on its way back.",
    "status": "sent",
    "sent_at": "2026-11-23T10:12:31.702113Z",
}

document_messages = extend_schema_view(
    list=extend_schema(
        operation_id="listMessages",
        tags=["Support tickets"],
        summary="Read the conversation",
        description="What was said on a ticket, oldest first. The first message is the ticket's "
        "own. What customers answer by mail stands here too; internal notes never do.\n\n"
        "To see what is new, ask with `after` and the `id` of the last message that you have: a "
        "message that is stored later comes later, so none is skipped.",
        parameters=[ID_PARAMETER],
        responses={200: OpenApiResponse(MessageSerializer, "A page of messages.")},
        examples=[
            OpenApiExample("Your ticket", _OPENING, response_only=True),
            OpenApiExample("Our answer", _ANSWER, response_only=True),
        ],
    ),
    create=extend_schema(
        operation_id="createMessage",
        tags=["Support tickets"],
        summary="Add a message",
        description="Stores what you add and mails it to the support team, as a ticket is. A "
        "ticket that waited for you, or was solved, is open again. A closed one is a `409`: open "
        "a new ticket.\n\n"
        "After a time-out, send it again with the same `Idempotency-Key`. A key counts within its "
        "ticket.",
        parameters=[ID_PARAMETER, IDEMPOTENCY_KEY, REPLAYED, REDACTED],
        request=NewMessageSerializer,
        responses={201: OpenApiResponse(MessageSerializer, "The message is stored.")},
        examples=[
            OpenApiExample("More to say", _NEW, request_only=True),
            OpenApiExample("Mailed", _WRITTEN, response_only=True, status_codes=["201"]),
        ],
    ),
)

"""Parameters and headers that several operations share, as the OpenAPI document describes them."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from ctxfy_support.entity_tags import ETAG
from support.api.idempotency import BARE_KEY, QUOTED_KEY
from support.messages import LONGEST_IDEMPOTENCY_KEY

# The examples' ticket.
TICKET_ID = "0193a2c4-5d6e-7f80-9a1b-2c3d4e5f6071"

ID_PARAMETER = OpenApiParameter(
    "id", str, OpenApiParameter.PATH, description="The `id` that the ticket got."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_IDEMPOTENCY_KEY,
        "pattern": f"^(?:{BARE_KEY}|{QUOTED_KEY})$",
    },
    OpenApiParameter.HEADER,
    description=f"Your own name for what you send, 1 to {LONGEST_IDEMPOTENCY_KEY} printable ASCII "
    "characters without a comma, quoted or bare; a UUID is a good one. It never expires.",
    examples=[OpenApiExample("A UUID", "5f0c6f5e-8d0a-4f8e-9c55-0d1f3c2b7a94")],
)
REPLAYED = OpenApiParameter(
    "Idempotent-Replayed",
    {"type": "string", "const": "true"},
    OpenApiParameter.HEADER,
    description="`true` where this answer is about what an earlier request with the same "
    "`Idempotency-Key` stored; absent otherwise.",
    response=[201],
)
REDACTED = OpenApiParameter(
    "X-Redacted",
    {"type": "integer", "minimum": 1},
    OpenApiParameter.HEADER,
    description="How many secrets stood in what you sent, and were masked before it was stored; "
    "absent without any. Stop using them.",
    response=[201],
)


def make_etag(statuses: list[int | str]) -> OpenApiParameter:
    return OpenApiParameter(
        "ETag",
        ETAG["schema"],
        OpenApiParameter.HEADER,
        required=True,
        description=ETAG["description"],
        examples=[OpenApiExample("A tag", ETAG["example"])],
        response=statuses,
    )

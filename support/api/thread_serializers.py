"""Messages as the API takes and shows them; the help texts stand in the OpenAPI document."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from ctxfy_support.fields import TextField
from ctxfy_support.serializers import RowSerializer
from support.messages import LONGEST_MESSAGE, Message, Via


class AuthorField(serializers.CharField):
    """Who wrote a message, by the way that it came."""

    def to_representation(self, value: object) -> str:
        return "support" if value == Via.BACK_OFFICE else "customer"


# Languages and libraries have a Message of their own.
@extend_schema_serializer(component_name="TicketMessageRequest")
class NewMessageSerializer(serializers.Serializer[Message]):
    """What a client sends; anything else is ignored."""

    message = TextField(
        max_length=LONGEST_MESSAGE,
        multiline=True,
        help_text="What you add, kept as you write it, line breaks and tabs too; secrets in it are "
        "masked. Other control characters are refused, and so is white space alone.",
    )


@extend_schema_serializer(component_name="TicketMessage")
class MessageSerializer(RowSerializer[Message]):
    """A message as the ticket's owner reads it; nothing internal."""

    id = serializers.CharField(read_only=True, help_text="Opaque. The first is the ticket's own.")
    created_at = serializers.DateTimeField(
        read_only=True, help_text="When we stored it. RFC 3339, UTC."
    )
    author = AuthorField(
        source="via",
        read_only=True,
        help_text="`customer`: you, or whoever writes from your reply address. `support`: us.",
    )
    via = serializers.CharField(
        read_only=True, help_text="How it came: `api`, `mail` or, from us, `back-office`."
    )
    text = serializers.CharField(
        read_only=True, help_text="What it says; secrets are masked in what customers write."
    )
    status = serializers.CharField(
        source="email_status",
        read_only=True,
        help_text="What became of its e-mail: of yours to the support team, of ours to your reply "
        "address. `sent`: the mail provider accepted it. `pending`: it is tried again. `failed`: "
        "given up, or it came back. `stored`: it was not to be mailed.",
    )
    sent_at = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="When the provider accepted the e-mail; null until then.",
    )

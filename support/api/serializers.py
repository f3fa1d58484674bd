"""Tickets as the API takes and shows them; the help texts stand in the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from ctxfy_support.fields import TextField
from ctxfy_support.serializers import RowSerializer
from support.api.evidence import ContextField, RequestIdsField, ShownContextField
from support.mailboxes import INVALID_EMAIL, is_email_address
from support.models import Ticket


# A schema named NewTicket would be a Go client's constructor of Ticket.
@extend_schema_serializer(component_name="TicketRequest")
class NewTicketSerializer(serializers.Serializer[Ticket]):
    """What a client sends: three texts and, if it likes, evidence; anything else is ignored."""

    type = TextField(
        max_length=64,
        help_text="What it is about, in your words: `billing`, `technical`, `feedback` or anything "
        "else. One line; spaces around it are dropped.",
    )
    reply_address = TextField(
        max_length=320,
        help_text="Where to answer: an e-mail address or any other, such as `123 Main St`. With an "
        "`@` in it, it must be one valid e-mail address, with at most 64 octets before the `@`. "
        "One line.",
    )
    message = TextField(
        max_length=20_000,
        multiline=True,
        help_text="What happened, kept as you write it, line breaks and tabs too; secrets in it "
        "are masked. Other control characters are refused, and so is white space alone.",
    )
    request_ids = RequestIdsField(
        required=False,
        help_text="The ids of the requests that failed (`X-Request-Id`), so that we can look them "
        "up: 1 to 20.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # A serializer has an attribute of this name.
        return super().get_fields() | {
            "context": ContextField(
                required=False,
                help_text="What you know of the failure: model, tool, SDK, trace id. Up to 50 "
                "names with a string, number, boolean or null each; nothing nested, at most 16 KiB "
                "as JSON.",
            )
        }

    def validate_reply_address(self, value: str) -> str:
        if "@" in value and not is_email_address(value):
            raise serializers.ValidationError(INVALID_EMAIL)
        return value


class TicketReceiptSerializer(RowSerializer[Ticket]):
    """The four keys of the 201: stored, under which id, and what became of the mail."""

    id = serializers.CharField(
        read_only=True,
        help_text="Opaque; it cannot be guessed. Keep it to ask for the ticket later.",
    )
    created_at = serializers.DateTimeField(
        read_only=True, help_text="When we stored it. RFC 3339, UTC."
    )
    status = serializers.CharField(
        source="email_status",
        read_only=True,
        help_text="What became of the e-mail to the support team. `sent`: the mail provider "
        "accepted it. `pending`: it is tried again without your help. `failed`: given up; agents "
        "see it and can resend it. `stored`: this service keeps tickets and mails none. More "
        "values may come.",
    )
    sent_at = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="When the provider accepted the e-mail; null until then.",
    )


class TicketSerializer(TicketReceiptSerializer):
    """A ticket as its owner reads it back; nothing internal."""

    type = serializers.CharField(read_only=True, help_text="As you sent it.")
    reply_address = serializers.CharField(read_only=True, help_text="As you sent it.")
    message = serializers.CharField(
        read_only=True, help_text="As you sent it, but for secrets, which are masked."
    )
    state = serializers.CharField(
        read_only=True, help_text="Where the support team stands with it. More values may come."
    )
    updated_at = serializers.DateTimeField(
        read_only=True, help_text="When any of this last changed. RFC 3339, UTC."
    )
    request_ids = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="As you sent them; empty without any.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | {
            "context": ShownContextField(
                read_only=True, help_text="As you sent it, but for secrets; empty without any."
            )
        }

"""Tickets as the API takes and shows them."""

from typing import Any

from rest_framework import serializers

from ctxfy_support.fields import TextField
from support.mailboxes import is_email_address
from support.models import Ticket


class NewTicketSerializer(serializers.Serializer[Ticket]):
    """What a client sends: `type`, `reply_address`, `message`; anything else is ignored."""

    type = TextField(max_length=64)
    reply_address = TextField(max_length=320)
    message = TextField(max_length=20_000, multiline=True)

    def validate_reply_address(self, value: str) -> str:
        if "@" in value and not is_email_address(value):
            raise serializers.ValidationError("Invalid email format")
        return value


class TicketReceiptSerializer(serializers.Serializer[Ticket]):
    """The four keys of the 201: stored, under which id, and what became of the mail."""

    id = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    status: Any = serializers.CharField(source="email_status", read_only=True)
    sent_at = serializers.DateTimeField(read_only=True)


class TicketSerializer(TicketReceiptSerializer):
    """A ticket as its owner reads it back; nothing internal."""

    type = serializers.CharField(read_only=True)
    reply_address = serializers.CharField(read_only=True)
    message = serializers.CharField(read_only=True)
    state = serializers.CharField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

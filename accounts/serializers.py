"""API keys as the API takes and shows them."""

from datetime import datetime

from django.utils import timezone
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.api_keys import SHOWN_CHARACTERS
from accounts.models import APIKey
from ctxfy_support.fields import TextField
from ctxfy_support.moments import parse_rfc_3339, write_moment
from ctxfy_support.serializers import RowSerializer


class ExpirationDateField(serializers.DateTimeField):
    """A future time in RFC 3339; without an offset it is UTC."""

    default_error_messages = {
        "invalid": "Must be a time in RFC 3339, such as 2027-01-01T00:00:00Z",
        "past": "Must be in the future",
    }

    def to_internal_value(self, value: object) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid")
        try:
            moment = parse_rfc_3339(value)
        except ValueError:
            self.fail("invalid")
        if moment <= timezone.now():
            self.fail("past")
        return moment


@extend_schema_serializer(component_name="APIKeyRequest")
class NewAPIKeySerializer(serializers.Serializer[APIKey]):
    """What a client may send; both are optional, and null means absent."""

    name = TextField(
        max_length=100,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="What you call it, to know it in your list. One line; it is trimmed, and its "
        "length is measured after that.",
    )
    expiration_date = ExpirationDateField(
        required=False,
        allow_null=True,
        help_text="From when on it stops working: a time in the future, RFC 3339, UTC where it has "
        "no offset; no later than the end of the key that you send. Null or absent: it ends with "
        "that key, or works until you revoke it.",
    )

    def validate_expiration_date(self, moment: datetime | None) -> datetime | None:
        """Let nobody who was given a key for a time make one that works for longer."""
        latest: datetime | None = self.context["latest"]
        if moment is not None and latest is not None and moment > latest:
            raise serializers.ValidationError(
                f"Must not be after {write_moment(latest)}, when the key that you sent expires"
            )
        return moment


class APIKeySerializer(RowSerializer[APIKey]):
    """A key without its secret."""

    id = serializers.CharField(read_only=True, help_text="Opaque. Revoke the key by it.")
    key_prefix = serializers.CharField(
        read_only=True,
        help_text=f"The key's first {SHOWN_CHARACTERS} characters, to tell it from the others.",
    )
    name = serializers.CharField(read_only=True, help_text="Your name for it; empty without one.")
    expiration_date = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="From when on it stops working. RFC 3339, UTC; null: never.",
    )
    created_at = serializers.DateTimeField(
        read_only=True, help_text="When it was issued. RFC 3339, UTC."
    )
    revoked_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When it was revoked; null while it was not."
    )


class ListedAPIKeySerializer(APIKeySerializer):
    """A key as its owner's list shows it."""

    last_used_at = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="When it was last used, to the minute: of all requests within a minute the first "
        "one counts. Null: never.",
    )
    leaked_at = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="When we first found this key, still working, in the text of a ticket, where "
        "the support team can read it; null if never. Revoke such a key.",
    )


class IssuedAPIKeySerializer(APIKeySerializer):
    """A key as it is shown once, with its secret."""

    api_key = serializers.CharField(
        read_only=True,
        help_text="The key itself. It is shown this once and kept nowhere: store it now.",
    )


class CallingKeySerializer(RowSerializer[APIKey]):
    """The key that a request was sent with."""

    id = serializers.CharField(read_only=True, help_text="Opaque. Revoke the key by it.")
    key_prefix = serializers.CharField(read_only=True, help_text="The key's first characters.")
    name = serializers.CharField(read_only=True, help_text="Your name for it; empty without one.")
    expiration_date = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="From when on it stops working. RFC 3339, UTC; null: never.",
    )


class AccountSerializer(RowSerializer[APIKey]):
    """Whose key it is, and what it may do, at this moment."""

    user_id = serializers.CharField(read_only=True, help_text="Your account's id. Opaque.")
    username = serializers.CharField(read_only=True, help_text="Your account's name.")
    subscription_plan = serializers.CharField(
        read_only=True, help_text="The plan, in one word, such as `pro`. There may be new ones."
    )
    token_balance = serializers.IntegerField(
        read_only=True, help_text="Tokens left; may be negative."
    )
    requests_per_minute = serializers.IntegerField(
        read_only=True, help_text="What the plan allows, over all keys of the account."
    )
    api_key = CallingKeySerializer(read_only=True, help_text="The key that you sent.")

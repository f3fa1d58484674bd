"""Pages of a ticket's thread: the ticket's own message, then those of its table, oldest first."""

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from ctxfy_support.pagination import NO_SUCH_ROW, PageEnvelope
from support.models import Message


class ThreadPages(PageEnvelope):
    """A page of messages, oldest first."""

    plural = "messages"

    def paginate_thread(
        self, opening: dict[str, Any], columns: list[str], request: Request
    ) -> list[dict[str, Any]]:
        """The page's rows; `opening` is the ticket's own message, with `columns` among its keys."""
        _, after = self.read_place(request)
        messages = Message.objects.filter(ticket=opening["id"]).order_by("created_at", "id")
        self.total = 1 + messages.count()
        place = 0 if self.page is None else (self.page - 1) * self.per_page
        first = [opening] if after is None and place == 0 else []
        if after is not None:
            messages = messages.filter(_find_following(messages, opening["id"], after))
        start = max(0, place - 1)  # The opening is the first of all rows, and none of these.
        end = start + self.per_page + 1 - len(first)
        return self.keep([*first, *messages.values(*columns)[start:end]])


def _find_following(messages: QuerySet[Message], ticket_id: UUID, message_id: UUID) -> Q:
    """What comes after this message; raise ValidationError (400) where the thread has none such."""
    if message_id == ticket_id:
        return Q()
    at = messages.filter(pk=message_id).values_list("created_at", flat=True).first()
    if at is None:
        raise ValidationError({"after": [NO_SUCH_ROW]})
    return Q(created_at__gt=at) | Q(created_at=at, pk__gt=message_id)

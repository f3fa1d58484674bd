"""Working API keys of ours that somebody has pasted: which, whose, and their end.

The keys belong to another app: settings.API_KEY_MODEL names their model.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol, cast
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import AbstractUser
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction

from support.models import Ticket
from support.timeline import EventKind, make_event


class LeakedKey(Protocol):
    pk: UUID
    key_prefix: str
    name: str
    user: AbstractUser
    leaked_at: datetime | None
    revoked_at: datetime | None

    def is_working(self) -> bool: ...

    def revoke(self) -> None: ...


class KeyTable(Protocol):
    """The manager of settings.API_KEY_MODEL."""

    def note_leaked(self, secrets: Collection[str]) -> list[UUID]: ...


def _model() -> type[models.Model]:
    return apps.get_model(settings.API_KEY_MODEL)


def note_leaked(secrets: Collection[str]) -> list[str]:
    """Tell the owners of those keys that work; return their ids.

    Before the ticket is stored, which then says it in its own row: nothing is lost in between.
    """
    keys = cast(KeyTable, _model()._default_manager)
    return [str(pk) for pk in keys.note_leaked(secrets)]


def find_leaked_keys(ticket: Ticket) -> list[LeakedKey]:
    """The keys that stood in the ticket, as they are now; no query where there were none."""
    if not ticket.leaked_keys:
        return []
    keys = _model()._default_manager.select_related("user")
    return list(cast(Iterable[LeakedKey], keys.filter(pk__in=ticket.leaked_keys).order_by("pk")))


def may_revoke(agent: AbstractUser) -> bool:
    """Whether the agent may end keys, here as well as on the page of keys."""
    options = _model()._meta
    return agent.has_perm(f"{options.app_label}.{get_permission_codename('change', options)}")


def revoke(ticket: Ticket, agent: AbstractUser, key: LeakedKey) -> None:
    """End a key for good; the ticket's timeline and the key's own log say so."""
    with transaction.atomic():
        key.revoke()
        LogEntry.objects.create(
            user_id=agent.pk,
            content_type=ContentType.objects.get_for_model(_model()),
            object_id=str(key.pk),
            object_repr=str(key)[:200],
            action_flag=CHANGE,
            change_message="Revoked",
        )
        owner = key.user.get_username()
        make_event(ticket.pk, agent, EventKind.REVOKE, f"{key.key_prefix}…", owner).save()

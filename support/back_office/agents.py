"""Who works here: the person behind a request, and those a ticket can be given to."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest

MOST_AGENTS = 500


def get_agent(request: HttpRequest) -> AbstractUser:
    """The person who is logged in; raise PermissionDenied where nobody is."""
    if not isinstance(request.user, AbstractUser):
        raise PermissionDenied
    return request.user


def list_agents() -> QuerySet[AbstractUser]:
    """Who can be given a ticket: active staff, by name."""
    staff = get_user_model()._default_manager.filter(is_staff=True, is_active=True)
    return staff.order_by("username")[:MOST_AGENTS]

"""A queue that somebody comes back to: the filters under a name, for one agent or for all."""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q

MOST_VIEWS = 50


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, agent: AbstractUser) -> Self:
        """The agent's own and those that supervisors share with everybody."""
        return self.filter(Q(owner=agent) | Q(owner=None))


class SavedView(models.Model):
    """`query` is the queue's query string, such as `tab=open&type=billing`."""

    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="saved_views",
        help_text="Nobody: everyone in the back-office sees it.",
        limit_choices_to={"is_staff": True},
    )

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        db_table = "support_saved_views"
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

"""Tickets with a default for everything; a pending one is due."""

from datetime import timedelta

import factory
from django.contrib.auth.models import Group
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.tests.factories import UserFactory
from support.models import Ticket


class TicketFactory(DjangoModelFactory):
    class Meta:
        model = Ticket

    user = factory.SubFactory(UserFactory)
    type = "billing"
    reply_address = "ada@example.com"
    message = "Charged twice in October."
    subscription_plan = "pro"
    token_balance = 1_000
    email_status = "pending"
    next_attempt_at = factory.LazyFunction(lambda: timezone.now() - timedelta(seconds=1))


def make_staff(role, username=None):
    """Somebody of the back-office with the role "Agents", "Supervisors" or "Administrators"."""
    person = UserFactory(username=username or role.lower(), is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return person

"""Accounts, plans and keys with a default for everything."""

import factory
from factory.django import DjangoModelFactory

from accounts import api_keys
from accounts.models import APIKey, Plan, User


class PlanFactory(DjangoModelFactory):
    class Meta:
        model = Plan
        django_get_or_create = ("slug",)

    slug = "pro"
    name = factory.LazyAttribute(lambda plan: plan.slug.title())
    requests_per_minute = 100


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"customer{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    plan = factory.SubFactory(PlanFactory)
    token_balance = 1_000
    password = "!"


class APIKeyFactory(DjangoModelFactory):
    """A key whose `secret` attribute is what a client would send."""

    class Meta:
        model = APIKey

    user = factory.SubFactory(UserFactory)

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        secret = api_keys.generate()
        kwargs |= {
            "digest": api_keys.digest(secret),
            "key_prefix": secret[: api_keys.SHOWN_CHARACTERS],
        }
        key = super()._create(model_class, *args, **kwargs)
        key.secret = secret
        return key

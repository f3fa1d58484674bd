"""Django and its ORM, one middleware: authenticate, look at the fields, store; and two readings.

A reading is one ORM query and a ModelSerializer, behind the same look at the key.
"""

import hashlib
import json
import os
import uuid

import environ
from django.conf import settings

DATABASE = environ.Env.db_url_config(os.environ["DATABASE_URL"])
DATABASE |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": False}
if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": DATABASE},
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        USE_TZ=True,
        SECRET_KEY="yardstick",
        LOGGING_CONFIG=None,
    )

import django  # noqa: E402

django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.http import HttpResponseNotFound, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402


class Plan(models.Model):  # noqa: DJ008
    slug = models.CharField(primary_key=True, max_length=50)
    requests_per_minute = models.IntegerField()

    class Meta:
        app_label, db_table = "yardstick", "yardstick_plan"


class Account(models.Model):  # noqa: DJ008
    username = models.CharField(max_length=150)
    is_active = models.BooleanField()
    plan = models.ForeignKey(Plan, models.PROTECT)
    token_balance = models.BigIntegerField()

    class Meta:
        app_label, db_table = "yardstick", "yardstick_account"


class Key(models.Model):  # noqa: DJ008
    id = models.UUIDField(primary_key=True)
    account = models.ForeignKey(Account, models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        app_label, db_table = "yardstick", "yardstick_key"


class Ticket(models.Model):  # noqa: DJ008
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    account = models.ForeignKey(Account, models.PROTECT)
    type = models.CharField(max_length=64)
    reply_address = models.CharField(max_length=320)
    message = models.TextField()
    subscription_plan = models.CharField(max_length=50)
    token_balance = models.BigIntegerField()
    status = models.CharField(max_length=10, default="stored")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label, db_table = "yardstick", "yardstick_ticket"


from rest_framework import serializers  # noqa: E402


class TicketSerializer(serializers.ModelSerializer):
    class Meta:
        model = Ticket
        fields = ["id", "created_at", "status", "type", "reply_address", "message", "updated_at"]


def find_account(request):
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    digest = hashlib.sha256(token.encode()).hexdigest()
    keys = Key.objects.select_related("account__plan")
    key = keys.filter(digest=digest, revoked_at=None, account__is_active=True).first()
    return key and key.account


def tickets(request):
    account = find_account(request)
    if account is None:
        return JsonResponse({"error": "Unauthorized"}, status=401)
    if request.method == "GET":
        page = Ticket.objects.filter(account=account).order_by("-created_at", "-id")[:25]
        return JsonResponse({"tickets": TicketSerializer(page, many=True).data})
    fields = json.loads(request.body)
    if not all(isinstance(fields.get(n), str) for n in ("type", "reply_address", "message")):
        return JsonResponse({"error": "Bad Request"}, status=400)
    ticket = Ticket.objects.create(
        account=account,
        type=fields["type"].strip(),
        reply_address=fields["reply_address"].strip(),
        message=fields["message"],
        subscription_plan=account.plan_id,
        token_balance=account.token_balance,
    )
    return JsonResponse({"id": ticket.id, "created_at": ticket.created_at}, status=201)


def ticket(request, pk):
    account = find_account(request)
    found = account and Ticket.objects.filter(account=account, pk=pk).first()
    return JsonResponse(TicketSerializer(found).data) if found else HttpResponseNotFound()


urlpatterns = [
    path("v1/support/tickets", tickets),
    path("v1/support/tickets/<uuid:pk>", ticket),
]
application = get_wsgi_application()

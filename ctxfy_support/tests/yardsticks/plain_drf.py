"""Django REST framework as its tutorial has it: a generic view, a ModelSerializer, owner saved."""

import hashlib

from django.conf import settings

from ctxfy_support.tests.yardsticks.bare_django import Key, Ticket, application

settings.ROOT_URLCONF = __name__

from django.urls import path  # noqa: E402
from rest_framework import (  # noqa: E402
    authentication,
    exceptions,
    generics,
    serializers,
)
from rest_framework import permissions as rules  # noqa: E402

__all__ = ["application"]


class KeyAuthentication(authentication.BaseAuthentication):
    def authenticate(self, request):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        digest = hashlib.sha256(token.encode()).hexdigest()
        keys = Key.objects.select_related("account__plan")
        key = keys.filter(digest=digest, revoked_at=None, account__is_active=True).first()
        if key is None:
            raise exceptions.AuthenticationFailed
        key.account.is_authenticated = True
        return key.account, key


class TicketSerializer(serializers.ModelSerializer):
    class Meta:
        model = Ticket
        fields = ["id", "created_at", "status", "type", "reply_address", "message"]
        read_only_fields = ["status", "created_at"]


class TicketList(generics.ListCreateAPIView):
    authentication_classes = [KeyAuthentication]
    permission_classes = [rules.IsAuthenticated]
    serializer_class = TicketSerializer

    def get_queryset(self):
        return Ticket.objects.filter(account=self.request.user).order_by("-created_at")[:25]

    def perform_create(self, serializer):
        account = self.request.user
        serializer.save(
            account=account,
            subscription_plan=account.plan_id,
            token_balance=account.token_balance,
        )


urlpatterns = [path("v1/support/tickets", TicketList.as_view())]

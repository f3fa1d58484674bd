"""/v1/api-keys and /v1/account."""

from typing import cast

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import APIKey, TooManyKeysError
from accounts.schema import KEY_LIMIT_REACHED, document_account, document_api_keys
from accounts.serializers import (
    AccountSerializer,
    APIKeySerializer,
    ListedAPIKeySerializer,
    NewAPIKeySerializer,
)
from ctxfy_support.ids import parse_id
from ctxfy_support.pagination import PageEnvelope
from ctxfy_support.query_parameters import read_query

# A key is shown once, so there is nothing that a second answer could show again.
NOT_REPEATABLE = (
    "Idempotency-Key is not taken here: a key is shown once, so its answer cannot be repeated. "
    "Where an answer was lost, look for the key in GET /v1/api-keys and revoke it"
)


class KeyLimitReached(APIException):
    """The account has as many working keys as it may have."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = KEY_LIMIT_REACHED
    default_code = "key_limit_reached"


class APIKeyPages(PageEnvelope):
    """A page of keys, newest first."""

    plural = "api_keys"


@document_api_keys
class APIKeyViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[APIKey]
):
    """Issues, lists and revokes the caller's own keys."""

    http_method_names = ["get", "head", "post", "delete"]
    serializer_class = ListedAPIKeySerializer
    pagination_class = APIKeyPages

    def get_queryset(self) -> QuerySet[APIKey]:
        keys = APIKey.objects.filter(user=self.request.user.pk)
        return keys.order_by("-created_at", "-id")

    def retrieve(self, request: Request, *args: object, **kwargs: object) -> Response:
        read_query(request)
        return super().retrieve(request, *args, **kwargs)

    def get_object(self) -> APIKey:
        """The caller's key; anybody else's, an unknown and a malformed id are one 404."""
        key_id = parse_id(self.kwargs["pk"])
        key = key_id and self.get_queryset().filter(pk=key_id).first()
        if not key:
            raise Http404
        return key

    def create(self, request: Request, *args: object, **kwargs: object) -> Response:
        if "HTTP_IDEMPOTENCY_KEY" in request.META:
            raise ParseError(NOT_REPEATABLE)
        caller = cast(APIKey, request.auth)
        latest = caller.expiration_date
        serializer = NewAPIKeySerializer(data=request.data, context={"latest": latest})
        serializer.is_valid(raise_exception=True)
        try:
            key, secret = APIKey.objects.issue(
                caller.user,
                name=serializer.validated_data.get("name") or "",
                expiration_date=serializer.validated_data.get("expiration_date") or latest,
            )
        except TooManyKeysError:
            raise KeyLimitReached from None
        body = APIKeySerializer(key).data | {"api_key": secret}
        return Response(body, status.HTTP_201_CREATED)

    def destroy(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Revoke a key; doing it again is a 204 too."""
        self.get_object().revoke()
        return Response(status=status.HTTP_204_NO_CONTENT)


@document_account
class AccountView(APIView):
    """Says who the caller is."""

    http_method_names = ["get", "head"]

    def get(self, request: Request) -> Response:
        """All of it came with the key: no query of its own."""
        read_query(request)
        key = cast(APIKey, request.auth)
        account = {
            "user_id": key.user_id,
            "username": key.user.username,
            "subscription_plan": key.user.plan_id,
            "token_balance": key.user.token_balance,
            "requests_per_minute": key.rate_limit.limit if key.rate_limit else 0,
            "api_key": key,
        }
        return Response(AccountSerializer().to_representation(account))

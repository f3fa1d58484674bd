"""/v1/api-keys."""

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import APIKey
from accounts.schema import document_api_keys
from accounts.serializers import (
    APIKeySerializer,
    ListedAPIKeySerializer,
    NewAPIKeySerializer,
)
from ctxfy_support.ids import parse_id
from ctxfy_support.pagination import PageEnvelope


class APIKeyPages(PageEnvelope):
    """A page of keys, newest first."""

    plural = "api_keys"


@document_api_keys
class APIKeyViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[APIKey]):
    """Issues, lists and revokes the caller's own keys."""

    http_method_names = ["get", "head", "post", "delete"]
    serializer_class = ListedAPIKeySerializer
    pagination_class = APIKeyPages

    def get_queryset(self) -> QuerySet[APIKey]:
        keys = APIKey.objects.filter(user=self.request.user.pk)
        return keys.order_by("-created_at", "-id")

    def create(self, request: Request, *args: object, **kwargs: object) -> Response:
        serializer = NewAPIKeySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        key, secret = APIKey.objects.issue(
            request.auth.user,
            name=serializer.validated_data.get("name") or "",
            expiration_date=serializer.validated_data.get("expiration_date"),
        )
        body = APIKeySerializer(key).data | {"api_key": secret}
        return Response(body, status.HTTP_201_CREATED)

    def destroy(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Revoke a key; doing it again is a 204 too, and anybody else's key is a 404."""
        key_id = parse_id(self.kwargs["pk"])
        key = key_id and self.get_queryset().filter(pk=key_id).first()
        if not key:
            raise Http404
        key.revoke()
        return Response(status=status.HTTP_204_NO_CONTENT)

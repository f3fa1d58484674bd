"""Addresses below /v1/ that are about accounts; no trailing slashes."""

from django.urls import path

from accounts.views import AccountView, APIKeyViewSet

urlpatterns = [
    path("api-keys", APIKeyViewSet.as_view({"get": "list", "post": "create"}), name="apikey-list"),
    path(
        "api-keys/<str:pk>",
        APIKeyViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="apikey-detail",
    ),
    path("account", AccountView.as_view(), name="account"),
]

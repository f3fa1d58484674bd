"""Addresses below /v1/support/; no trailing slashes."""

from django.urls import path

from support.api.thread import MessageViewSet
from support.api.views import TicketViewSet

urlpatterns = [
    path("tickets", TicketViewSet.as_view({"get": "list", "post": "create"}), name="ticket-list"),
    path(
        "tickets/<str:pk>",
        TicketViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="ticket-detail",
    ),
    path(
        "tickets/<str:pk>/messages",
        MessageViewSet.as_view({"get": "list", "post": "create"}),
        name="message-list",
    ),
]

"""Addresses below /v1/support/; no trailing slashes."""

from django.urls import path

from support.views import TicketViewSet

urlpatterns = [path("tickets", TicketViewSet.as_view({"post": "create"}), name="ticket-list")]

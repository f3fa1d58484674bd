"""The addresses under /anymail/, where SendGrid brings mail and tells what became of ours."""

from django.urls import path

from support.inbox.webhooks import InboundView, TrackingView, guard

urlpatterns = [
    path("sendgrid/inbound/", guard(InboundView.as_view()), name="sendgrid_inbound"),
    path("sendgrid/tracking/", guard(TrackingView.as_view()), name="sendgrid_tracking"),
]

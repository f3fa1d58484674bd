"""The support app: what they ask, and the mail that says so."""

from django.apps import AppConfig


class SupportConfig(AppConfig):
    name = "support"

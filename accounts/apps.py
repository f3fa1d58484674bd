"""The accounts app: who is asking."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

"""The project as an app: its tables and commands, and the checks of what all of it needs."""

from django.apps import AppConfig
from django.core.checks import register

from ctxfy_support.checks import check_addresses, check_proxies, check_secret_key
from ctxfy_support.start import START


class ProjectConfig(AppConfig):
    name = "ctxfy_support"

    def ready(self) -> None:
        for check in (check_addresses, check_proxies, check_secret_key):
            register(check, START)

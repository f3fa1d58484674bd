"""The support app: what they ask, and the mail that says so."""

from django.apps import AppConfig
from django.core.checks import register

from ctxfy_support.start import START
from support.checks import (
    check_imap_settings,
    check_mail_credentials,
    check_paused,
    check_ways_in,
)


class SupportConfig(AppConfig):
    name = "support"

    def ready(self) -> None:
        register(check_mail_credentials, START)
        register(check_imap_settings, START)
        register(check_ways_in, START)
        register(check_paused, START)

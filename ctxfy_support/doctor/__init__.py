"""`manage.py doctor`: what is wrong and what to do, in plain words."""

from django.core.exceptions import ImproperlyConfigured

from ctxfy_support.doctor.findings import write_json, write_text, wrong


def settings_are_wrong(exc: ImproperlyConfigured, *, as_json: bool) -> int:
    """Print the one finding that there is where the settings stop the start; the exit status."""
    finding = wrong(str(exc), "Mend that variable (README, Settings): nothing starts before.")
    write = write_json if as_json else write_text
    print(write([("settings", finding)]))  # noqa: T201  (no command has been made yet)
    return 1

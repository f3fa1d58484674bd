#!/usr/bin/env python
"""Django's command-line tool for this project."""

import gc
import os
import signal
import sys

if sys.argv[1:2] == ["serve"]:
    # Until it serves there is nothing to finish, so SIGTERM just ends it, and well: the imports
    # below take most of a second, and an exception in the midst of them may be swallowed.
    signal.signal(signal.SIGTERM, lambda *args: os._exit(0))

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from ctxfy_support import VERSION

if __name__ == "__main__":
    if sys.argv[1:] in (["version"], ["--version"]):
        sys.exit(print(VERSION))  # noqa: T201  (Django would show its own)
    # What a start loads, stays: looking for garbage among it, every 700 objects, takes a sixth.
    gc.set_threshold(20_000)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ctxfy_support.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        if sys.argv[1:2] != ["doctor"]:
            raise
        from ctxfy_support.doctor import settings_are_wrong

        sys.exit(settings_are_wrong(exc, as_json="--json" in sys.argv))

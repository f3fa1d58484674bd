#!/usr/bin/env python
"""Django's command-line tool for this project."""

import os
import signal
import sys

if sys.argv[1:2] == ["serve"]:
    # Until it serves there is nothing to finish, so SIGTERM just ends it, and well: the imports
    # below take most of a second, and an exception in the midst of them may be swallowed.
    signal.signal(signal.SIGTERM, lambda *args: os._exit(0))

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ctxfy_support.settings")
    execute_from_command_line(sys.argv)

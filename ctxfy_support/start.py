"""What a process says when it starts: the warnings of the checks that are tagged for it."""

import logging

from django.core.checks import run_checks

START = "start"

logger = logging.getLogger(__name__)


def log_warnings() -> None:
    """Log what the checks with this tag find; `manage.py check` has them too."""
    for message in run_checks(tags=[START]):
        logger.warning("%s (%s) %s", message.msg, message.id, message.hint or "")

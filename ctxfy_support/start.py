"""What a process says when it starts, and that all it says from then on is lines of the log."""

import logging
import sys
import threading
from types import TracebackType

from django.core.checks import run_checks

START = "start"

logger = logging.getLogger(__name__)


def log_warnings() -> None:
    """Log what the checks with this tag find; `manage.py check` has them too."""
    for message in run_checks(tags=[START]):
        logger.warning("%s (%s) %s", message.msg, message.id, message.hint or "")


def log_what_nobody_catches() -> None:
    """Make log lines of what Python prints itself: warnings, and exceptions that nobody catches.

    For what runs for long, whose output a machine reads line by line.
    """
    logging.captureWarnings(True)
    sys.excepthook = _log_exception
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable


def _log_exception(
    kind: type[BaseException], exc: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("The process ends: nobody caught this", exc_info=(kind, exc, traceback))


def _log_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        info = (args.exc_type, args.exc_value, args.exc_traceback)
        logger.error("A thread ended: nobody caught this", exc_info=info)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        info = (args.exc_type, args.exc_value, args.exc_traceback)
        logger.error("An exception could not be raised: %r", args.object, exc_info=info)

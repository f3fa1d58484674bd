"""Makes the checks, each in a thread of its own: one that fails or hangs stops no other."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from ctxfy_support.doctor.findings import Finding, wrong
from ctxfy_support.logs import redact, shorten

Check: TypeAlias = Callable[[], Iterable[Finding]]
_Found: TypeAlias = "queue.SimpleQueue[Finding | None]"
LONGEST_REASON = 300
# Characters; a shorter one is a word of every sentence, and no secret.
SHORTEST_HIDDEN = 6


def examine(checks: Mapping[str, str]) -> list[tuple[str, Finding]]:
    """Rows (name, finding) of these checks (name: dotted path), in their order.

    All begin at once, so together they take no longer than settings.DOCTOR_SECONDS.
    """
    until = time.monotonic() + settings.DOCTOR_SECONDS
    under_way = [(name, _begin(path)) for name, path in checks.items()]
    return [
        (name, _conceal(finding)) for name, found in under_way for finding in _read(found, until)
    ]


def _begin(path: str) -> _Found:
    found: _Found = queue.SimpleQueue()
    threading.Thread(target=_run, args=(path, found), daemon=True).start()
    return found


def _run(path: str, found: _Found) -> None:
    try:
        check: Check = import_string(path)
        for finding in check():
            found.put(finding)
    except Exception as exc:
        reason = shorten(" ".join(str(exc).split()), LONGEST_REASON)
        found.put(
            wrong(
                f"This could not be found out: {type(exc).__name__}: {reason}",
                "Mend what else is wrong here first, then run this again.",
            )
        )
    finally:
        found.put(None)
        connection.close()


def _read(found: _Found, until: float) -> Iterable[Finding]:
    """What a check finds until it ends or its time is over."""
    while True:
        try:
            finding = found.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            yield wrong(
                f"This check gave no answer within {settings.DOCTOR_SECONDS:g} seconds",
                "Something that it asked hangs: the database, the disk, the network.",
            )
            return
        if finding is None:
            return
        yield finding


def _conceal(finding: Finding) -> Finding:
    """The finding without any secret, whatever an exception or a server has quoted."""
    return Finding(finding.outcome, _hide(finding.what), _hide(finding.do))


def _hide(text: str) -> str:
    for secret in (settings.SECRET_KEY, str(connection.settings_dict.get("PASSWORD") or "")):
        if len(secret) >= SHORTEST_HIDDEN:
            text = text.replace(secret, "[redacted]")
    return redact(text)

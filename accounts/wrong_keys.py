"""Limits keys that do not work by client network, so that a flood of them costs others nothing.

Counted in this process's memory: a guesser's flood must not become writes to the database. Keys
that worked lately pass all the same, so customers behind the guesser's address stay connected.
"""

import threading
import time
from collections import OrderedDict

from accounts import api_keys

LIMIT = 30
WINDOW_SECONDS = 60.0
# Bounds on memory: the oldest entries go first.
ADDRESSES_KEPT = 10_000
KEYS_KEPT = 10_000
# Of an address that has sent none: when its minute ends, how many it has sent.
_NONE_YET = (0.0, 0)


class WrongKeyLimit:
    """How many useless keys each address has sent in its current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._worked: OrderedDict[str, None] = OrderedDict()

    def seconds_to_wait(self, address: str, key: str) -> int:
        """Zero while the address may try this key; else the seconds until it may."""
        with self._lock:
            ends, count = self._counts.get(address, _NONE_YET)
            wait = ends - time.monotonic()
            if count < LIMIT or wait <= 0 or api_keys.digest(key) in self._worked:
                return 0
        return int(wait) + 1

    def note_wrong(self, address: str, key: str) -> None:
        """Count a key that did not work, even if it did once."""
        now = time.monotonic()
        with self._lock:
            self._worked.pop(api_keys.digest(key), None)
            ends, count = self._counts.pop(address, _NONE_YET)
            if ends <= now:
                ends, count = now + WINDOW_SECONDS, 0
            self._counts[address] = (ends, count + 1)
            if len(self._counts) > ADDRESSES_KEPT:
                self._counts.popitem(last=False)

    def note_worked(self, digest: str) -> None:
        """Remember a key that works; it is still looked up on every request."""
        with self._lock:
            self._worked[digest] = None
            self._worked.move_to_end(digest)
            if len(self._worked) > KEYS_KEPT:
                self._worked.popitem(last=False)


wrong_keys = WrongKeyLimit()

"""Limits keys that do not work by client network, so that a flood of them costs others nothing.

Counted in this process's memory: a guesser's flood must not become writes to the database. A key
that works is never refused for others that do not, not even on its first request: whatever a
network over its limit sends is still looked up, unless it is no key at all or was found useless
a moment ago.
"""

import threading
import time
from collections import OrderedDict

from rest_framework import status

from accounts import api_keys
from ctxfy_support.envelope import Refusal
from ctxfy_support.network_counts import NetworkCounts

LIMIT = 30
# A key that was found useless is taken for useless for so long: a program that sends its revoked
# key without end costs a look-up a second, and an account that is opened again waits no longer.
USELESS_SECONDS = 1.0
# A bound on memory: the oldest entries go first.
KEYS_KEPT = 10_000


class TooManyUselessKeys(Refusal):
    """A key that does not work, from a network that has sent too many of those."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = (
        "This API key does not work, and too many that do not came from your network. Stop what "
        "sends them, and retry after the time in the Retry-After header. Keys that work are not "
        "affected"
    )
    default_code = "too_many_useless_keys"

    def __init__(self, wait: int) -> None:
        super().__init__()
        self.wait = wait


class WrongKeyLimit:
    """How many useless keys each network has sent in its current minute, and which of late."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = NetworkCounts(LIMIT)
        self._useless: OrderedDict[str, float] = OrderedDict()

    def seconds_to_wait(self, network: str) -> int:
        """Zero while useless keys from here are just wrong; else the seconds until they are."""
        return self._counts.seconds_to_wait(network)

    def is_useless(self, key: str) -> bool:
        """Whether nobody need be asked: it is no key, or did not work a moment ago."""
        if not api_keys.is_well_formed(key):
            return True
        with self._lock:
            return self._useless.get(api_keys.digest(key), 0.0) > time.monotonic()

    def note_wrong(self, network: str, key: str) -> None:
        """Count a key that did not work."""
        self._counts.add(network)
        if not api_keys.is_well_formed(key):
            return
        digest = api_keys.digest(key)
        with self._lock:
            self._useless.pop(digest, None)
            self._useless[digest] = time.monotonic() + USELESS_SECONDS
            if len(self._useless) > KEYS_KEPT:
                self._useless.popitem(last=False)


wrong_keys = WrongKeyLimit()

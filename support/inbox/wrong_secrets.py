"""Limits who sends wrong webhook secrets, by client network and in this process's memory.

A guesser's flood must not become writes to the database. Where the right one came from lately is
never refused: a guesser who shares that address stops no mail.
"""

import threading
import time
from collections import OrderedDict

LIMIT = 30
WINDOW_SECONDS = 60.0
# A bound on memory: the oldest entries go first.
NETWORKS_KEPT = 10_000
_NONE_YET = (0.0, 0)


class WrongSecretLimit:
    """How many wrong secrets each network has sent in its current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._right: OrderedDict[str, None] = OrderedDict()

    def seconds_to_wait(self, network: str) -> int:
        """Zero while the network may try; else the seconds until it may."""
        with self._lock:
            ends, count = self._counts.get(network, _NONE_YET)
            wait = ends - time.monotonic()
            if count < LIMIT or wait <= 0 or network in self._right:
                return 0
        return int(wait) + 1

    def note_wrong(self, network: str) -> None:
        now = time.monotonic()
        with self._lock:
            ends, count = self._counts.pop(network, _NONE_YET)
            if ends <= now:
                ends, count = now + WINDOW_SECONDS, 0
            self._counts[network] = (ends, count + 1)
            if len(self._counts) > NETWORKS_KEPT:
                self._counts.popitem(last=False)

    def note_right(self, network: str) -> None:
        with self._lock:
            self._right[network] = None
            self._right.move_to_end(network)
            if len(self._right) > NETWORKS_KEPT:
                self._right.popitem(last=False)


wrong_secrets = WrongSecretLimit()

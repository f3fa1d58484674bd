"""How often each client network did something within its current minute, in this process's memory.

For what is refused after some times: a guesser's flood must not become writes to the database.
"""

import threading
import time
from collections import OrderedDict

WINDOW_SECONDS = 60.0
# A bound on memory: the oldest entries go first.
NETWORKS_KEPT = 10_000
# Of a network that has done nothing: when its minute ends, how often it did.
_NONE_YET = (0.0, 0)


class NetworkCounts:
    """Counts for each network; `limit` is how many a minute pass."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def seconds_to_wait(self, network: str) -> int:
        """Zero while the network is within its limit; else the seconds until it is again."""
        with self._lock:
            ends, count = self._counts.get(network, _NONE_YET)
        wait = ends - time.monotonic()
        return 0 if count < self._limit or wait <= 0 else int(wait) + 1

    def add(self, network: str) -> None:
        now = time.monotonic()
        with self._lock:
            ends, count = self._counts.pop(network, _NONE_YET)
            if ends <= now:
                ends, count = now + WINDOW_SECONDS, 0
            self._counts[network] = (ends, count + 1)
            if len(self._counts) > NETWORKS_KEPT:
                self._counts.popitem(last=False)

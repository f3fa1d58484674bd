"""Limits who sends wrong webhook secrets, by client network and in this process's memory.

A guesser's flood must not become writes to the database. Where the right one came from lately is
never refused: a guesser who shares that address stops no mail.
"""

import threading
from collections import OrderedDict

from ctxfy_support.network_counts import NETWORKS_KEPT, NetworkCounts

LIMIT = 30


class WrongSecretLimit:
    """How many wrong secrets each network has sent in its current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong = NetworkCounts(LIMIT)
        self._right: OrderedDict[str, None] = OrderedDict()

    def seconds_to_wait(self, network: str) -> int:
        """Zero while the network may try; else the seconds until it may."""
        with self._lock:
            if network in self._right:
                return 0
        return self._wrong.seconds_to_wait(network)

    def note_wrong(self, network: str) -> None:
        self._wrong.add(network)

    def note_right(self, network: str) -> None:
        with self._lock:
            self._right[network] = None
            self._right.move_to_end(network)
            if len(self._right) > NETWORKS_KEPT:
                self._right.popitem(last=False)


wrong_secrets = WrongSecretLimit()

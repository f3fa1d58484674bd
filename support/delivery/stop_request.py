"""Notes SIGTERM and SIGINT, so that a command can stop between two mails."""

import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest:
    """Whether somebody asked this process to end.

    A queue, not an Event: a signal handler runs in the thread that it interrupts, and would wait
    for ever for the lock that an Event's own wait() holds.
    """

    def __init__(self) -> None:
        self.is_made = False
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until the request."""
        if not self.is_made:
            try:
                self._bell.get(timeout=seconds)
            except queue.Empty:
                return

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the two signals over; give them back at the end."""
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._make) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _make(self, *_: object) -> None:
        self.is_made = True
        self._bell.put(None)

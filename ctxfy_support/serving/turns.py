"""Whose turn it is: so many requests are worked on at once, and more may wait for somebody else.

A request that waits for a mail provider needs no processor, only its thread. It lends its turn, and
another thread takes up the next request. Without that, a provider that takes four seconds would
stop everybody who only reads as soon as every thread has a mail in hand.
"""

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeAlias

from django.db import connections

# Each has a thread and a connection to the database of its own. More than the twenty clients that a
# busy account may have: with fewer, a repeated POST could see another status than the first one.
MOST_LENT = 20
# A thread more than there are turns ends, with its connection, when it was not needed for so long.
IDLE_SECONDS = 30.0

Job: TypeAlias = Callable[[], object]
_Bell: TypeAlias = "SimpleQueue[Job | None]"


class Turns:
    """`count` jobs at once, each in a thread; those that have lent their turn are not counted."""

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        # The last used first: a few threads keep what they have warm, and the others end.
        self._idle: list[_Bell] = []
        self._threads: set[threading.Thread] = set()
        self._lent = 0
        self._is_over = False

    def submit(self, job: Job) -> None:
        """Do it, which must not raise, when it is its turn."""
        with self._lock:
            self._jobs.append(job)
            self._begin_next()

    def shutdown(self) -> None:
        """Return once every job is done."""
        with self._lock:
            self._is_over = True
            for bell in self._idle:
                bell.put(None)
            self._idle.clear()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def has_room(self) -> bool:
        """Whether another may lend its turn; several may ask before one does."""
        return self._lent < MOST_LENT

    def lend(self) -> None:
        """Let another begin; the job that lends goes on to its end beside them."""
        with self._lock:
            self._lent += 1
            self._free += 1
            self._begin_next()

    def _begin_next(self) -> None:
        if not self._jobs or not self._free:
            return
        self._free -= 1
        job = self._jobs.popleft()
        if self._idle:
            self._idle.pop().put(job)
            return
        thread = threading.Thread(target=self._work, args=(job,), name="request", daemon=True)
        self._threads.add(thread)
        thread.start()

    # --- In a thread -----------------------------------------------------------------------------

    def _work(self, first: Job) -> None:
        bell: _Bell = SimpleQueue()
        job: Job | None = first
        while job:
            _here.turns, _here.has_lent = self, False
            job()
            job = self._take_next(bell)
        connections.close_all()
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _take_next(self, bell: _Bell) -> Job | None:
        """End one's turn; wait for the next job, or None if this thread is to end."""
        with self._lock:
            if _here.has_lent:
                self._lent -= 1
            else:
                self._free += 1
            if self._jobs and self._free:
                self._free -= 1
                return self._jobs.popleft()
            if self._is_over:
                return None
            self._idle.append(bell)
        while True:
            try:
                return bell.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    # Else a job is on its way.
                    if bell in self._idle and len(self._threads) > self._count:
                        self._idle.remove(bell)
                        self._threads.discard(threading.current_thread())
                        return None


class _Here(threading.local):
    turns: Turns | None = None
    has_lent = False


_here = _Here()


def lend_turn() -> None:
    """Say that the request in this thread waits for somebody else; elsewhere it means nothing."""
    if _here.turns is not None and not _here.has_lent:
        _here.has_lent = True
        _here.turns.lend()


def may_lend_turn() -> bool:
    """Whether the request in this thread may wait for somebody else, at nobody's cost."""
    return _here.turns is None or _here.has_lent or _here.turns.has_room()

"""The kept connection to the mail provider, and the hard deadline on every attempt over it.

The only module that touches Django's mail connections.
"""

import contextlib
import contextvars
import queue
import threading
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from ctxfy_support.serving.turns import lend_turn
from support.failures import DeadlineExceededError, Phase

LONGEST_IDLE_SECONDS = 20
# What a probe may take beyond the deadline to log in: nobody waits for it, and a server that
# delays its refusal beyond the deadline would never be heard.
PATIENCE = timedelta(seconds=20)
# What an attempt that was cut off may take to say that it had just been accepted.
GRACE_SECONDS = 0.1


class _Attempt:
    """A mail on its way; `opened` is set, and `outcome` given, by the thread that sends it."""

    def __init__(self, message: EmailMessage) -> None:
        self.message = message
        self.context = contextvars.copy_context()
        self.opened = threading.Event()
        self._outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def end(self, error: BaseException | None) -> None:
        self._outcome.put(error)
        self.opened.set()

    def wait(self, seconds: float) -> tuple[bool, BaseException | None]:
        """(whether it has ended within so many seconds, the error that it ended with)"""
        try:
            return True, self._outcome.get(timeout=seconds)
        except queue.Empty:
            return False, None


class Connection:
    """One connection; its attempts run in a thread of its own, which the deadline abandons.

    Whoever waits for the attempt also records its outcome, so an abandoned one records nothing.
    """

    def __init__(self, patience: timedelta = timedelta(0)) -> None:
        self.patience = patience.total_seconds()
        # The deadline decides; a socket's own time-out only ends what cannot be shut, a connect.
        seconds = settings.SUPPORT_EMAIL_DEADLINE + self.patience + 1
        self.backend: Any = get_connection(timeout=seconds)
        self.last_used = time.monotonic()
        self.is_aborted = False
        self._attempts: queue.SimpleQueue[_Attempt | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def send(self, message: EmailMessage, seconds: float) -> None:
        """Return once the mail is accepted; raise DeadlineExceededError or the backend's error.

        With patience, the seconds count from when the connection is open, which may take its own.
        """
        attempt = _Attempt(message)
        if self._thread is None:
            self._thread = threading.Thread(target=self.run, daemon=True)
            self._thread.start()
        self._attempts.put(attempt)
        lend_turn()
        in_time = not self.patience or attempt.opened.wait(seconds + self.patience)
        ended, error = attempt.wait(seconds) if in_time else (False, None)
        if not ended:
            phase = self.phase
            self.abort()
            ended, error = attempt.wait(GRACE_SECONDS)
            if not ended or error:
                raise DeadlineExceededError(phase)
        if error:
            raise error
        self.last_used = time.monotonic()

    def run(self) -> None:
        """Make one attempt after the other, until there is nothing more to come."""
        while attempt := self._attempts.get():
            attempt.end(attempt.context.run(self._try, attempt))
            del attempt

    def _try(self, attempt: _Attempt) -> BaseException | None:
        try:
            self.backend.open()
            attempt.opened.set()
            if not self.backend.send_messages([attempt.message]):
                raise RuntimeError("the backend sent nothing")
        except BaseException as exc:
            # Here, because this thread alone knows that nobody uses the socket any more.
            with contextlib.suppress(OSError):
                self.backend.close()
            return exc
        return None

    @property
    def phase(self) -> Phase:
        watch = getattr(self.backend, "watch", None)
        return watch.phase if watch else Phase.SENDING

    def abort(self) -> None:
        """Shut the sockets under an attempt that may still be running; no other can follow."""
        self.is_aborted = True
        self._attempts.put(None)
        if watch := getattr(self.backend, "watch", None):
            watch.abort()

    def close(self) -> None:
        """Close the connection without waiting for the other side."""
        self._attempts.put(None)
        self.backend.close()
        if watch := getattr(self.backend, "watch", None):
            watch.release()


def try_log_in() -> str:
    """Open a connection as an attempt would, log in, send nothing; return what is missing still.

    Raises as an attempt would, within SUPPORT_EMAIL_DEADLINE and PATIENCE: nobody waits for it.
    """
    seconds = settings.SUPPORT_EMAIL_DEADLINE + PATIENCE.total_seconds()
    backend: Any = get_connection(timeout=seconds)
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        backend.watch.abort()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        return str(backend.try_log_in())
    except Exception:
        if is_over.is_set():
            raise DeadlineExceededError(backend.watch.phase) from None
        raise
    finally:
        timer.cancel()
        with contextlib.suppress(OSError):
            backend.close()
        backend.watch.release()


class ConnectionPool:
    """Idle connections of this process, the last used first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Connection] = []

    def send(self, message: EmailMessage, patience: timedelta = timedelta(0)) -> None:
        """Send within SUPPORT_EMAIL_DEADLINE seconds over a kept connection or a new one.

        `patience`: what opening a connection may take beyond that. Raises DeadlineExceededError,
        or whatever the backend raised; classify() knows them all.
        """
        connection = self._take(patience)
        try:
            connection.send(message, settings.SUPPORT_EMAIL_DEADLINE)
        except BaseException:
            connection.abort()
            raise
        if connection.is_aborted:  # Accepted at the very last moment.
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _take(self, patience: timedelta) -> Connection:
        self.close_stale()
        with self._lock:
            taken = self._idle.pop() if self._idle else None
        return taken or Connection(patience)

    def close_stale(self) -> None:
        """Close the connections that were not used lately."""
        oldest_allowed = time.monotonic() - LONGEST_IDLE_SECONDS
        with self._lock:
            stale = [kept for kept in self._idle if kept.last_used < oldest_allowed]
            self._idle = [kept for kept in self._idle if kept.last_used >= oldest_allowed]
        for connection in stale:
            connection.close()

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


pool = ConnectionPool()

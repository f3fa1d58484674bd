"""Starts the web server's processes, replaces one that dies, and ends them all on SIGTERM.

Signals are blocked and waited for, never handled: none can be lost between two instructions or in
a child that still imports the application. uvicorn's own supervisor leaves its children behind when
it is killed, and waits for ever for one that does not end.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

STOP_SECONDS = 9.3
RESTART_SECONDS = 1.0
CHILD_FAILED = 3
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class Supervisor:
    """`serve(pipe)` runs in each child; it ends when the pipe does."""

    def __init__(self, count: int, serve: Callable[[int], None]) -> None:
        self._count, self._serve = count, serve
        self._children: dict[int, float] = {}
        self._pipe: tuple[int, int] = (-1, -1)

    def run(self, close_listener: Callable[[], None]) -> int:
        """Serve until SIGTERM or SIGINT; return the exit status.

        1: a process could not start at all, and says why in the log.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._pipe = os.pipe()
        for _ in range(self._count):
            self._fork()
        status = self._watch()
        # From here on only the children take connections, and each takes all that wait.
        close_listener()
        os.close(self._pipe[1])
        self._await_end()
        return status

    def _fork(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._children[pid] = time.monotonic()
            return
        status = CHILD_FAILED
        try:
            os.close(self._pipe[1])
            self._serve(self._pipe[0])
            status = 0
        except BaseException:
            logger.exception("A web process could not go on")
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            # Not sys.exit(): the parent's frames are below us, and threads may still be at work.
            os._exit(status)

    def _watch(self) -> int:
        while True:
            if signal.sigwait(SIGNALS) != signal.SIGCHLD:
                return 0
            for pid, status in self._reap():
                age = time.monotonic() - self._children.pop(pid)
                if os.waitstatus_to_exitcode(status) == CHILD_FAILED:
                    return 1
                logger.error("Web process %s has died (status %s)", pid, status)
                if age < RESTART_SECONDS and signal.sigtimedwait(
                    (signal.SIGTERM, signal.SIGINT), RESTART_SECONDS
                ):
                    return 0
                self._fork()

    def _reap(self) -> list[tuple[int, int]]:
        """Rows (pid, status) of the children that have ended."""
        ended = []
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid in self._children:
                ended.append((pid, status))
        return ended

    def _await_end(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while self._children and (seconds := deadline - time.monotonic()) > 0:
            signal.sigtimedwait((signal.SIGCHLD,), min(seconds, 0.5))
            for pid, _ in self._reap():
                del self._children[pid]
        for pid in self._children:
            logger.warning("Web process %s did not end in time and is killed", pid)
            os.kill(pid, signal.SIGKILL)

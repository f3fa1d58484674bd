"""A request's body on its way from the event loop; nobody waits for one past its deadline."""

import asyncio
import io
import math
import threading
from typing import Any

from asgiref.typing import ASGIReceiveCallable

# How long a thread waits for its turn to wait for a slow body.
TURN_SECONDS = 1.0


class BodyNotWholeError(OSError):
    """The client went away, or did not send its body in time."""

    def __init__(self) -> None:
        super().__init__("The request body did not arrive whole and in time")


class Patience:
    """All who wait for a body, and until when at the longest, by the loop's time."""

    def __init__(self) -> None:
        self.waits: set[asyncio.Timeout] = set()
        self.until = math.inf

    def end(self, until: float) -> None:
        self.until = until
        for timeout in self.waits:
            timeout.reschedule(min(timeout.when() or until, until))


class Incoming:
    """One request's body; `deadline`, by the loop's time, is for the whole of it."""

    def __init__(self, receive: ASGIReceiveCallable, deadline: float, patience: Patience) -> None:
        self._receive, self._patience = receive, patience
        self.deadline = deadline
        self.is_whole = False
        self.early_bytes = 0  # What of it waits in memory.

    async def take(self, until: float) -> bytes:
        """What is here or comes until then, empty at the end; TimeoutError, BodyNotWholeError."""
        async with asyncio.timeout_at(min(until, self._patience.until)) as timeout:
            self._patience.waits.add(timeout)
            try:
                message = await self._receive()
            finally:
                self._patience.waits.discard(timeout)
        if message["type"] != "http.request":
            raise BodyNotWholeError
        self.is_whole = not message["more_body"]
        return message["body"]


class LateBody(io.RawIOBase):
    """`wsgi.input` of a request that is being answered while its body is still on its way.

    It begins with `first`; `turns` bounds how many threads wait for bodies at once.
    """

    def __init__(
        self,
        incoming: Incoming,
        first: bytes,
        turns: threading.Semaphore,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._incoming, self._data, self._turns, self._loop = incoming, first, turns, loop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not (self._data or self._incoming.is_whole):
            try:
                self._data = self._take(0)
            except TimeoutError:
                self._data = self._wait()
        taken, self._data = self._data[: len(buffer)], self._data[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _wait(self) -> bytes:
        if not self._turns.acquire(timeout=TURN_SECONDS):
            raise BodyNotWholeError
        try:
            return self._take(self._incoming.deadline)
        except TimeoutError:
            raise BodyNotWholeError from None
        finally:
            self._turns.release()

    def _take(self, until: float) -> bytes:
        return asyncio.run_coroutine_threadsafe(self._incoming.take(until), self._loop).result()

"""The threads that run the WSGI application, one request each at a time.

Each keeps its own connection to the database. What they have to say goes to the event loop.
"""

import asyncio
import io
import logging
import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ctxfy_support.serving.answer import Headers, has_body, make_chunk, make_head
from ctxfy_support.serving.connection import SEND_SECONDS, Connection
from ctxfy_support.serving.http_request import HTTPRequest, LateBody, make_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)

PART_BYTES = 64 * 1024


class Answering:
    """One request's way through the application."""

    def __init__(self, threads: "Threads", connection: Connection, request: HTTPRequest) -> None:
        self._threads, self._connection, self._request = threads, connection, request
        self._loop = threads.loop
        self._status = ""
        self._headers: Headers = []

    def run(self) -> None:
        """Answer; whatever goes wrong after the head has been sent breaks the connection off."""
        try:
            result = self._threads.application(self._make_environ(), self._start_response)
            try:
                self._send(result)
            finally:
                # What Django has left to do here comes after the answer is on its way.
                if close := getattr(result, "close", None):
                    close()
        except Exception:
            logger.exception("A request could not be answered")
            self._loop.call_soon_threadsafe(self._connection.abort)

    def _make_environ(self) -> dict[str, Any]:
        request = self._request
        environ = make_environ(request, self._connection.client, self._threads.server)
        if request.is_whole:
            if environ.pop("HTTP_TRANSFER_ENCODING", None):
                environ["CONTENT_LENGTH"] = str(len(request.body))
            environ["wsgi.input"] = io.BytesIO(request.body)
        else:
            body = LateBody(request, self._threads.body_turns, self._want_body)
            environ["wsgi.input"] = io.BufferedReader(body, PART_BYTES)
        return environ

    def _want_body(self) -> None:
        self._loop.call_soon_threadsafe(self._connection.want_body, self._request)

    def _start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        self._status, self._headers = status, headers

        def write(data: bytes) -> None:
            raise NotImplementedError("Return the body; the old write() is not offered")

        return write

    def _send(self, result: Iterable[bytes]) -> None:
        is_stream = getattr(result, "streaming", False)
        has_length = any(name.lower() == "content-length" for name, _ in self._headers)
        if is_stream and has_body(self._request.method, self._status):
            self._send_parts(result, has_length=has_length)
            return
        body = b"" if is_stream else b"".join(result)
        if not has_length and not is_stream and self._status[:3] not in {"204", "304"}:
            self._headers.append(("Content-Length", str(len(body))))
        closes = self._closes()
        head = make_head(self._status, self._headers, closes=closes)
        if has_body(self._request.method, self._status):
            head += body
        self._loop.call_soon_threadsafe(self._end, head, closes)

    def _send_parts(self, result: Iterable[bytes], *, has_length: bool) -> None:
        """Send a body while it is made, no faster than the client takes it."""
        is_chunked = not has_length and self._request.version == "1.1"
        closes = self._closes() or not (has_length or is_chunked)
        headers = (
            [*self._headers, ("Transfer-Encoding", "chunked")] if is_chunked else self._headers
        )
        waiting = make_head(self._status, headers, closes=closes)
        for part in result:
            if part:
                waiting += make_chunk(part) if is_chunked else part
            # Without a length somebody watches it come; a file goes out in larger parts.
            if is_chunked or len(waiting) >= PART_BYTES:
                self._write(waiting)
                waiting = b""
        if is_chunked:
            waiting += make_chunk(b"")
        self._loop.call_soon_threadsafe(self._end, waiting, closes)

    def _write(self, data: bytes) -> None:
        written = asyncio.run_coroutine_threadsafe(
            self._connection.write_and_drain(data), self._loop
        )
        written.result(SEND_SECONDS)

    def _closes(self) -> bool:
        request = self._request
        return self._threads.is_stopping or not (request.keeps_alive and request.is_whole)

    def _end(self, data: bytes, closes: bool) -> None:
        self._connection.write(data)
        self._connection.end_answer(closes=closes)


class Threads:
    """So many threads and the queue before them."""

    def __init__(
        self,
        application: "WSGIApplication",
        *,
        count: int,
        server: tuple[str, str],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.application, self.server, self.loop = application, server, loop
        self.is_stopping = False
        # However many keys somebody has, half of the threads never wait for a slow body.
        self.body_turns = threading.BoundedSemaphore(max(1, count // 2))
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"request-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """How many requests wait for a thread."""
        return self._queue.qsize()

    def answer(self, connection: Connection, request: HTTPRequest) -> None:
        self._queue.put(Answering(self, connection, request).run)

    def stop(self, until: float) -> None:
        """Let them finish what they have, until this time by time.monotonic()."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            task()

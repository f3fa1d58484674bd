"""The WSGI application as uvicorn calls it: the event loop waits for bodies, threads run Django.

Where a header says who is asking (settings.PATHS_THAT_READ_BODIES_LATE) a thread begins at once
and asks for the body when it wants it; everywhere else it begins once the body is here. Each
thread keeps its own connection to the database.

asgiref and uvicorn's own bridge read every body first; a2wsgi's threads wait for ever for bodies
and for clients that take nothing, and its queue has no end.
"""

import asyncio
import contextlib
import io
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.conf import settings

from ctxfy_support.serving.body import BodyNotWholeError, Incoming, LateBody, Patience
from ctxfy_support.serving.environ import make_environ
from ctxfy_support.serving.refusal import Headers, RefusedError, make_refusal
from ctxfy_support.serving.turns import Turns

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

# Of what is answered only once it is whole; more than any form of the back-office has.
MAX_EARLY_BODY_BYTES = 2_621_440
MAX_EARLY_BYTES = 64 * 1024 * 1024
MAX_WAITING = 1_000
PART_BYTES = 64 * 1024

Answer: TypeAlias = tuple[int, Headers, bytes]
_Write: TypeAlias = Callable[[bytes], None]


class Threads:
    """So many turns (turns.py), the queue for them, and the bodies that are still on their way."""

    def __init__(self, application: "WSGIApplication", count: int) -> None:
        self._application, self._count = application, count
        self._loop = asyncio.get_running_loop()
        self._turns = Turns(count)
        # However many keys somebody has, half of the threads never wait for a slow body.
        self._body_turns = threading.BoundedSemaphore(max(1, count // 2))
        self._in_hand = 0
        self._early_bytes = 0
        self.patience = Patience()

    async def __call__(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        deadline = float((scope.get("state") or {})["deadline"])
        incoming = Incoming(receive, deadline, self.patience)
        try:
            environ = make_environ(scope)
            environ["wsgi.input"] = await self._make_input(environ, incoming)
            await self._answer(environ, incoming, send)
        except RefusedError as refusal:
            await _send(send, refusal.status, *make_refusal(refusal.status))
        except BodyNotWholeError:
            pass  # The client has gone.
        finally:
            self._early_bytes -= incoming.early_bytes

    def stop(self) -> None:
        """Return once the threads have finished what they have."""
        self._turns.shutdown()

    async def _make_input(
        self, environ: "WSGIEnvironment", incoming: Incoming
    ) -> io.BytesIO | io.BufferedReader:
        is_chunked = "HTTP_TRANSFER_ENCODING" in environ
        if not is_chunked and environ.get("CONTENT_LENGTH", "0") == "0":
            incoming.is_whole = True
            return io.BytesIO()
        if environ["PATH_INFO"].startswith(settings.PATHS_THAT_READ_BODIES_LATE):
            first = b""
            if (
                "HTTP_EXPECT" not in environ
            ):  # Who asks whether to send is told once Django wants it.
                with contextlib.suppress(TimeoutError):
                    first = await incoming.take(0)
            late = LateBody(incoming, first, self._body_turns, self._loop)
            return io.BufferedReader(late, PART_BYTES)
        body = await self._collect(incoming)
        if is_chunked:
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(len(body))
        return io.BytesIO(body)

    async def _collect(self, incoming: Incoming) -> bytes:
        body = bytearray()
        while not incoming.is_whole:
            try:
                part = await incoming.take(incoming.deadline)
            except TimeoutError:
                raise RefusedError(408) from None
            body += part
            incoming.early_bytes += len(part)
            self._early_bytes += len(part)
            if len(body) > MAX_EARLY_BODY_BYTES:
                raise RefusedError(413)
            if self._early_bytes > MAX_EARLY_BYTES:
                raise RefusedError(503)
        return bytes(body)

    async def _answer(
        self, environ: "WSGIEnvironment", incoming: Incoming, send: ASGISendCallable
    ) -> None:
        if self._in_hand >= MAX_WAITING + self._count:
            raise RefusedError(503)
        whole: asyncio.Future[Answer | None] = self._loop.create_future()
        self._in_hand += 1
        try:
            self._turns.submit(partial(self._run, environ, incoming, send, whole))
            answer = await whole
        finally:
            self._in_hand -= 1
        if answer:
            await _send(send, *answer)

    # --- In a thread -----------------------------------------------------------------------------

    def _run(
        self,
        environ: "WSGIEnvironment",
        incoming: Incoming,
        send: ASGISendCallable,
        whole: "asyncio.Future[Answer | None]",
    ) -> None:
        head: list[tuple[int, Headers]] = []

        def start_response(status: str, headers: Headers, exc_info: object = None) -> _Write:
            head[:] = [(int(status[:3]), [*headers])]
            return _write

        try:
            result = self._application(environ, start_response)
            try:
                [(status, headers)] = head
                if not incoming.is_whole:
                    headers.append(("Connection", "close"))
                answer = self._pass_on(environ, send, status, headers, result)
                self._loop.call_soon_threadsafe(_settle, whole, answer)
            finally:
                # What Django has left to do here comes after the answer is on its way.
                if close := getattr(result, "close", None):
                    close()
        except Exception as exc:
            self._loop.call_soon_threadsafe(_settle, whole, exc)

    def _pass_on(
        self,
        environ: "WSGIEnvironment",
        send: ASGISendCallable,
        status: int,
        headers: Headers,
        result: Iterable[bytes],
    ) -> Answer | None:
        """Return the whole answer, or send one that is still being made, and return None.

        As fast as the client takes it: who takes none is hung up on (connection.py).
        """
        has_length = any(name.lower() == "content-length" for name, _ in headers)
        # HTTP/1.0 knows no chunks.
        is_chunked = not has_length and environ["SERVER_PROTOCOL"] != "HTTP/1.0"
        if not getattr(result, "streaming", False) or not (has_length or is_chunked):
            body = b"".join(result)
            if not has_length and status not in {204, 304}:
                headers.append(("Content-Length", str(len(body))))
            return status, headers, body
        self._wait_for(_send(send, status, headers, b"", more_body=True))
        waiting = b""
        for part in result if environ["REQUEST_METHOD"] != "HEAD" else ():
            waiting += part
            # Without a length somebody watches it come; a file goes out in larger parts.
            if waiting and (is_chunked or len(waiting) >= PART_BYTES):
                self._wait_for(_send_part(send, waiting, more_body=True))
                waiting = b""
        self._wait_for(_send_part(send, waiting, more_body=False))
        return None

    def _wait_for(self, sending: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(sending, self._loop).result()


def _write(data: bytes) -> None:
    raise NotImplementedError("Return the body; WSGI's old write() is not offered")


def _settle(future: "asyncio.Future[Answer | None]", answer: Answer | Exception | None) -> None:
    if future.done():
        if isinstance(answer, Exception):
            logger.error("A request failed once it was answered", exc_info=answer)
    elif isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


async def _send(
    send: ASGISendCallable, status: int, headers: Headers, body: bytes, *, more_body: bool = False
) -> None:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send(
        {"type": "http.response.start", "status": status, "headers": encoded, "trailers": False}
    )
    await _send_part(send, body, more_body=more_body)


async def _send_part(send: ASGISendCallable, part: bytes, *, more_body: bool) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": more_body})

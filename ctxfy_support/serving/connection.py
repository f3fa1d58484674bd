"""One client's connection: what has arrived, how long the rest may take, answers in order.

Everything here runs in the event loop and nothing waits: a client that sends a byte a minute costs
a connection until its deadline, and no thread.
"""

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from ctxfy_support.serving.answer import make_refusal
from ctxfy_support.serving.http_request import HTTPRequest, find_path

if TYPE_CHECKING:
    from ctxfy_support.serving.web_process import WebProcess

KEEP_ALIVE_SECONDS = 75.0  # More than a proxy's own (nginx: 60), so that the proxy hangs up first.
SEND_SECONDS = 30.0
# A close while the client still sends would make its kernel drop our answer.
LINGER_SECONDS = 2.0
LINGER_BYTES = 4 * 1024 * 1024
MAX_HEAD_BYTES = 32 * 1024
MAX_PIPELINED = 16
# Of what is answered only once it is whole; more than any form of the back-office has.
MAX_EARLY_BODY_BYTES = 2_621_440
UNSENT_BYTES = 1024 * 1024


class Connection(asyncio.Protocol):
    """Parses requests, hands each over in its turn, and closes what does not keep its time."""

    transport: asyncio.Transport

    def __init__(self, process: "WebProcess") -> None:
        self.process = process
        self.client = ""
        self.deadline: float | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._arriving: HTTPRequest | None = None
        self._is_in_head = False
        self._head_bytes = 0
        self._unanswered: deque[HTTPRequest] = deque()
        self._is_being_answered = False
        self._refusal = 0
        self._takes_requests = True
        self._lingering_bytes = 0
        self._drained: asyncio.Future[None] | None = None

    # --- What asyncio calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=UNSENT_BYTES)
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        self.process.connections.add(self)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self.process.connections.discard(self)
        self.process.idle.pop(self, None)
        self._takes_requests = False
        self.resume_writing()
        if self._arriving:
            self._arriving.fail()
        while self._unanswered:
            self._forget(self._unanswered.pop())

    def eof_received(self) -> bool:
        """Keep the way back open while an answer is on it."""
        self._takes_requests = False
        if self._arriving:
            self._arriving.fail()
            if not self._arriving.is_late and not self._is_in_head:
                self._drop_arriving()
        if self._unanswered:
            self.deadline = None
        return bool(self._unanswered)

    def pause_writing(self) -> None:
        self._drained = self.process.loop.create_future()

    def resume_writing(self) -> None:
        if self._drained:
            self._drained.set_result(None)
            self._drained = None
            self._advance()

    def data_received(self, data: bytes) -> None:
        if not self._takes_requests:
            self._lingering_bytes += len(data)
            if self._lingering_bytes > LINGER_BYTES:
                self.transport.abort()
            return
        if self._arriving is None:
            self.deadline = time.monotonic() + self.process.request_seconds
            self._head_bytes, self._is_in_head = 0, True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # We speak nothing else; the request itself is answered, and is this connection's last.
            self._takes_requests = False
            if self._unanswered:
                self._unanswered[-1].keeps_alive = False
        except httptools.HttpParserInvalidMethodError:
            # A word that is no method, or (TLS, noise) nothing like one.
            self.refuse(405 if data[:1].isalpha() else 400)
        except httptools.HttpParserError:
            self.refuse(400)
        if self._is_in_head and self._takes_requests:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.refuse(431)
        if len(self._unanswered) > MAX_PIPELINED:
            self.transport.pause_reading()
        self._advance()

    # --- What the parser calls -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if not self._takes_requests:
            return
        self._arriving = HTTPRequest(self.deadline or time.monotonic())
        self._head_bytes, self._is_in_head = 0, True

    def on_url(self, url: bytes) -> None:
        if self._arriving:
            self._arriving.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body is no header, whatever it is called.
        if self._arriving and self._is_in_head:
            self._head_bytes += len(name) + len(value)
            self._arriving.headers.append((name, value))
            if name.lower() == b"expect" and value.lower() == b"100-continue":
                self._arriving.expects_continue = True

    def on_headers_complete(self) -> None:
        request = self._arriving
        if request is None:
            return
        self._is_in_head = False
        request.method = self._parser.get_method().decode("ascii")
        request.version = self._parser.get_http_version()
        request.keeps_alive = request.version == "1.1" and self._parser.should_keep_alive()
        if self._head_bytes > MAX_HEAD_BYTES:
            self.refuse(431)
            return
        self.process.idle.pop(self, None)
        self._unanswered.append(request)
        request.is_late = self.process.is_read_late(find_path(request.target))
        if request.is_late:
            self.deadline = None  # The thread that reads the body knows the request's own.

    def on_body(self, body: bytes) -> None:
        request = self._arriving
        if request is None or not self._takes_requests:
            return
        is_enough = request.add(body)
        if request.is_late:
            if is_enough:
                self.transport.pause_reading()
            return
        request.early_bytes += len(body)
        self.process.early_bytes += len(body)
        if request.early_bytes > MAX_EARLY_BODY_BYTES:
            self.refuse(413)
        elif self.process.early_bytes > self.process.max_early_bytes:
            self.refuse(503)

    def on_message_complete(self) -> None:
        request = self._arriving
        if request is None:
            return
        self._arriving = None
        self.deadline = None
        request.finish()
        if not request.keeps_alive:
            self._takes_requests = False

    # --- What the threads ask for, in the loop ---------------------------------------------------

    def want_body(self, request: HTTPRequest) -> None:
        """A thread waits for this request's body, or has made room for more of it."""
        if self.transport.is_closing():
            return
        if request.expects_continue and not request.is_whole:
            request.expects_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    async def write_and_drain(self, data: bytes) -> None:
        self.transport.write(data)
        if self._drained:
            await asyncio.shield(self._drained)

    def end_answer(self, *, closes: bool) -> None:
        """The answer is written: close, take the next request, or wait for one."""
        self._is_being_answered = False
        if not self._unanswered:
            return  # The connection is gone.
        request = self._unanswered.popleft()
        self._forget(request)
        if self.transport.is_closing():
            return
        is_last = not (self._takes_requests or self._unanswered or self._refusal)
        if closes or is_last:
            self._close(lingers=not request.is_whole)
            return
        if not self._unanswered and self._arriving is None:
            self._wait_for_request()
        self.transport.resume_reading()
        self._advance()

    def turn_away(self) -> None:
        """Refuse the request whose turn it is, with nobody free to answer it."""
        self._is_being_answered = False
        while self._unanswered:
            self._forget(self._unanswered.pop())
        self.transport.write(make_refusal(503))
        self._close(lingers=True)

    def abort(self) -> None:
        self.transport.abort()

    # --- What the process asks for ---------------------------------------------------------------

    def expire(self) -> None:
        """The deadline has passed."""
        if not self._takes_requests or self.transport.is_closing():
            self.transport.abort()
        elif self._arriving is None and not self._is_in_head:
            self.transport.close()
        else:
            self.refuse(408)

    def hurry(self, idle_until: float, request_until: float) -> None:
        """The process stops: what is idle goes soon, what is half here a little later."""
        until = request_until
        if self._arriving:
            self._arriving.hurry(until)
        elif not self._unanswered:
            until = idle_until
        if self.deadline is not None:
            self.deadline = min(self.deadline, until)

    def refuse(self, status: int) -> None:
        """Answer this ourselves once what came before it is answered, and close."""
        if self._arriving and not self._is_in_head and self._unanswered:
            self._arriving.fail()
            if self._is_being_answered and len(self._unanswered) == 1:
                self._takes_requests = False
                return  # A thread has it and is told so.
            self._drop_arriving()
        self._arriving = None
        self._refusal = status
        self._takes_requests = False
        self.deadline = None
        self._advance()

    # --- Within ----------------------------------------------------------------------------------

    def _drop_arriving(self) -> None:
        """Take back a request that will never be whole and that nobody has begun to answer."""
        if self._unanswered and self._unanswered[-1] is self._arriving:
            self._forget(self._unanswered.pop())

    def _forget(self, request: HTTPRequest) -> None:
        self.process.early_bytes -= request.early_bytes
        request.early_bytes = 0

    def _wait_for_request(self) -> None:
        self.deadline = time.monotonic() + (
            SEND_SECONDS if self.transport.get_write_buffer_size() else KEEP_ALIVE_SECONDS
        )
        self.process.idle[self] = None

    def _advance(self) -> None:
        """Hand over the next request if its turn has come and enough of it is here."""
        if self._is_being_answered or self._drained or self.transport.is_closing():
            return
        if self._unanswered:
            request = self._unanswered[0]
            if request.is_whole or request.is_late:
                self._is_being_answered = True
                self.process.hand_over(self, request)
        elif self._refusal:
            status, self._refusal = self._refusal, 0
            self.transport.write(make_refusal(status))
            self._close(lingers=True)

    def _close(self, *, lingers: bool) -> None:
        self._takes_requests = False
        self.process.idle.pop(self, None)
        if not lingers:
            self.deadline = time.monotonic() + SEND_SECONDS
            self.transport.close()
            return
        self.deadline = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(OSError, RuntimeError):
            self.transport.write_eof()
        self.transport.resume_reading()

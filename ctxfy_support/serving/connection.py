"""One client's connection: uvicorn's, and the time and room that it gives a client without end.

uvicorn parses, frames, pipelines and keeps alive. Here a head has a deadline and a size, an answer
that nobody takes is given up, what is no request is refused in JSON and in its turn, and a client
that still sends when we hang up can read why.
"""

import asyncio
import sys
from typing import cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ctxfy_support.envelope import get_phrase
from ctxfy_support.serving.config import Config
from ctxfy_support.serving.lingering import SEND_SECONDS, LingeringTransport
from ctxfy_support.serving.refusal import RefusedError, make_refusal

# Read and dropped, while a client still sends what nobody wants.
LINGER_BYTES = 4 * 1024 * 1024
MAX_HEAD_BYTES = 32 * 1024
MAX_PIPELINED = 100
# After the signal to stop, what is already on its way is still taken.
GRACE_SECONDS = 0.5


class Connection(HttpToolsProtocol):
    """A head in time and within bounds, refusals in JSON, and nobody who stays for ever."""

    config: Config
    _head_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_in_body = False
    _is_word = False
    _refusal = 0
    _lingering_bytes = 0

    # --- What asyncio calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        lingering = LingeringTransport(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", lingering))
        self.config.idle[self] = None
        self._wait_for_request(self.timeout_keep_alive)
        if len(self.connections) > self.config.max_connections:
            longest = next(iter(self.config.idle))
            del self.config.idle[longest]
            longest.transport.abort()
        if self.config.is_stopping:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.idle.pop(self, None)
        self._unset_keepalive_if_required()
        self._end_head()
        self._end_send()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's never keeps the way back
        """Keep the way back open while the answer to a whole request is on it."""
        is_awaited = self._is_answering() and not self.cycle.more_body
        if is_awaited:
            self._end_head()
            self.cycle.keep_alive = False
        return is_awaited

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._end_send()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._refusal or self.transport.is_closing():
            self._lingering_bytes += len(data)
            if self._lingering_bytes > LINGER_BYTES:
                self.transport.abort()
            return
        is_head, cycle = not self._is_in_body, self.cycle
        if is_head:
            self._is_word = data[:1].isalpha()
            self._begin_head()
        super().data_received(data)
        if is_head and self.cycle is cycle and not self._refusal:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431)

    # --- What the parser and uvicorn call --------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()
        self._head_bytes = 0
        if len(self.pipeline) >= MAX_PIPELINED:
            raise RefusedError(503)

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body is no header. `X_Forwarded_For` would become the same WSGI
        # name as the `X-Forwarded-For` that a proxy has set.
        if not self._is_in_body and b"_" not in name:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > (
            MAX_HEAD_BYTES
        ):
            raise RefusedError(431)
        self.scope["state"]["deadline"] = self._end_head()
        super().on_headers_complete()
        self._is_in_body = True
        self.config.idle.pop(self, None)
        # We speak nothing else: the request is answered, and is this connection's last.
        if self.parser.should_upgrade() or self.config.is_stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_in_body = False

    def on_response_complete(self) -> None:
        if self._refusal and not self.pipeline and not self.transport.is_closing():
            self._send_refusal()
        super().on_response_complete()
        if self.timeout_keep_alive_task:
            self.config.idle[self] = None

    def send_400_response(self, msg: str) -> None:
        """Called while the parser's error is being handled."""
        error = sys.exception()
        if error and isinstance(error.__context__, RefusedError):
            self._refuse(error.__context__.status)
        else:
            # A word that is no method, or (TLS, noise) nothing like one.
            is_method = isinstance(error, httptools.HttpParserInvalidMethodError)
            self._refuse(405 if is_method and self._is_word else 400)

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()

    def shutdown(self) -> None:
        """The process stops: a request that is already on its way is still answered."""
        if self._is_answering():
            super().shutdown()
        else:
            self._wait_for_request(GRACE_SECONDS)

    # --- Within ----------------------------------------------------------------------------------

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_request(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _begin_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.config.request_seconds, self._refuse, 408)

    def _end_head(self) -> float:
        """Return the deadline of the whole request, by the loop's time."""
        timer, self._head_timer = self._head_timer, None
        if timer is None:
            return self.loop.time()
        timer.cancel()
        return timer.when()

    def _end_send(self) -> None:
        if self._send_timer:
            self._send_timer.cancel()
            self._send_timer = None

    def _refuse(self, status: int) -> None:
        """Answer this ourselves once what came before it is answered, and hang up."""
        self._end_head()
        self._refusal = status
        if not self._is_answering():
            self._send_refusal()
        elif self._is_in_body:
            # It will never be whole: whoever waits for it is told, and what he answers is dropped.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
            else:
                self._send_refusal()

    def _send_refusal(self) -> None:
        headers, body = make_refusal(self._refusal)
        head = [f"HTTP/1.1 {self._refusal} {get_phrase(self._refusal)}"]
        head += [f"{name}: {value}" for name, value in headers]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()

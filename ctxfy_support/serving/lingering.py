"""How a connection ends: closed while the client still sends, its kernel would drop our answer."""

import asyncio
import contextlib

SEND_SECONDS = 30.0
LINGER_SECONDS = 2.0


class LingeringTransport:
    """asyncio's transport, except that close() ends our side first and lets the client's end."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._is_closing = False
        self.write = transport.write

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._is_closing or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        self._is_closing = True
        has_unsent = self._transport.get_write_buffer_size() > 0
        with contextlib.suppress(OSError, RuntimeError):
            self._transport.write_eof()
        self._transport.resume_reading()
        seconds = SEND_SECONDS if has_unsent else LINGER_SECONDS
        self._loop.call_later(seconds, self._transport.abort)

"""Second handles on sockets, so that another thread can end what waits for them.

A socket's own time-out counts each read, so a server that drips a byte a second holds whoever reads
for ever; shutting the socket ends it at once.
"""

import contextlib
import socket
import threading

from support.failures import Phase


class SocketWatch:
    """Second handles on a connection's sockets, so that another thread can shut them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._aborted = False
        # What the attempt is waiting for; whoever cuts it off tells from it what was missing.
        self.phase = Phase.SENDING

    def add(self, sock: socket.socket) -> socket.socket:
        """Watch a socket; return its second handle, or raise where the attempt is over.

        A duplicate, because TLS takes the original's descriptor over, and a bare number could by
        then belong to somebody else.
        """
        try:
            with self._lock:
                if self._aborted:
                    raise ConnectionAbortedError("the attempt is over")
                handle = sock.dup()
                self._handles.append(handle)
                return handle
        except OSError:
            sock.close()
            raise

    def abort(self) -> None:
        """End every connection now and refuse new ones."""
        with self._lock:
            self._aborted = True
            for handle in self._handles:
                with contextlib.suppress(OSError):  # The other side was faster.
                    handle.shutdown(socket.SHUT_RDWR)
        self.release()

    @property
    def is_aborted(self) -> bool:
        return self._aborted

    def forget(self, handle: socket.socket) -> None:
        """Close a handle with its socket, which the other side would otherwise not see close."""
        with self._lock:
            if handle in self._handles:
                self._handles.remove(handle)
                handle.close()

    def release(self) -> None:
        """Close the second handles; the sockets themselves stay open."""
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

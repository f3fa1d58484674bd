"""Servers on 127.0.0.1 that stand in for a mail provider and fail in the way a test asks for.

A fault is set for a stage of the protocol, `server.faults["MAIL"] = Close(times=2)`, and strikes
in place of that stage's normal answer until it is removed or its times are used up.
"""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

HOST = "127.0.0.1"


def reserve_port():
    """A bound socket: while it is open nobody is given its port, yet a server may listen on it."""
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind((HOST, 0))
    return reservation


def free_port():
    with reserve_port() as reservation:
        return reservation.getsockname()[1]


@dataclass(frozen=True, kw_only=True)
class Fault:
    times: int | None = None
    # Whether the server does what it was asked (takes the mail) before the fault strikes.
    accept: bool = False

    def strike(self, channel, answer):
        """Misbehave instead of sending `answer`; ConnectionError ends the conversation."""
        raise NotImplementedError


@dataclass(frozen=True)
class Close(Fault):
    """Send `after`, then end the connection: by FIN, or by RST with `reset`."""

    after: bytes = b""
    reset: bool = False

    def strike(self, channel, answer):
        channel.send(self.after)
        if self.reset:
            channel.reset_on_close()
        raise ConnectionAbortedError


@dataclass(frozen=True)
class Silence(Fault):
    """Send `after`, then neither read nor write until the server stops."""

    after: bytes = b""

    def strike(self, channel, answer):
        channel.send(self.after)
        channel.stopping.wait()
        raise ConnectionAbortedError


@dataclass(frozen=True)
class Drip(Fault):
    """Send `after`, then `data` (the normal answer if None) one byte every `seconds`.

    A slow answer is an answer: unlike the other faults it accepts unless told otherwise.
    """

    data: bytes | None = None
    after: bytes = b""
    seconds: float = 1.0
    accept: bool = field(default=True, kw_only=True)

    def strike(self, channel, answer):
        channel.send(self.after)
        for byte in answer if self.data is None else self.data:
            channel.send(bytes([byte]))
            if channel.stopping.wait(self.seconds):
                raise ConnectionAbortedError


@dataclass(frozen=True)
class Garbage(Fault):
    """Send `data`, whatever the protocol says, and go on with the conversation."""

    data: bytes = b"\x00\xff\x16\x03 what? \xc3\x28\r\n"

    def strike(self, channel, answer):
        channel.send(self.data)


@dataclass(frozen=True)
class Meanwhile(Fault):
    """Do something while the client waits for its answer, then answer as if nothing were."""

    act: Callable[[], object]
    accept: bool = field(default=True, kw_only=True)

    def strike(self, channel, answer):
        self.act()
        channel.send(answer)


class Faults(dict):
    """The faults of a server, by stage."""

    def __init__(self):
        super().__init__()
        self._lock = threading.Lock()

    def take(self, stage):
        """Return the fault to strike at this stage, or None, and use up one of its times."""
        with self._lock:
            fault = self.get(stage)
            if fault is not None and fault.times is not None:
                if fault.times > 1:
                    self[stage] = replace(fault, times=fault.times - 1)
                else:
                    del self[stage]
            return fault


class Inbox(list):
    """What a server has accepted, oldest first."""

    def __init__(self):
        super().__init__()
        self._arrival = threading.Condition()

    def append(self, message):
        with self._arrival:
            super().append(message)
            self._arrival.notify_all()

    def wait_for(self, count, seconds=30.0):
        """Return the messages once there are `count`; AssertionError if there are not in time."""
        with self._arrival:
            self._arrival.wait_for(lambda: len(self) >= count, seconds)
            assert len(self) >= count, f"{len(self)} of {count} messages after {seconds} s"
            return list(self)


class Channel:
    """One client's connection, in clear text until start_tls()."""

    def __init__(self, sock, number, stopping):
        self.number = number
        self.stopping = stopping
        self.encrypted = False
        self._socket = sock
        self.file = sock.makefile("rb")

    def send(self, data):
        self._socket.sendall(data)

    def start_tls(self, context):
        self.file.close()
        # The handshake comes after the assignment, so that shut_down() can interrupt it.
        self._socket = context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._socket.do_handshake()
        self.file = self._socket.makefile("rb")
        self.encrypted = True

    def reset_on_close(self):
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def shut_down(self):
        """Wake the thread that reads from this connection; it closes the socket."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self):
        self.file.close()
        self._socket.close()


class LoopbackServer:
    """A thread for each connection; stop() and start() keep the port, refusing in between."""

    def __init__(self):
        self.port = 0
        self.faults = Faults()
        self.messages = Inbox()
        self.wait_for = self.messages.wait_for
        self._numbers = itertools.count(1)

    def converse(self, channel):
        """Talk to one client until it goes or an OSError ends the conversation."""
        raise NotImplementedError

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        self.stop()

    def start(self):
        self._listener = socket.create_server((HOST, self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._channels = {}
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def stop(self):
        self._stopping.set()
        # On Linux a close alone leaves accept() waiting; elsewhere a shutdown is an error.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for channel, thread in list(self._channels.items()):
            channel.shut_down()
            thread.join()

    def _accept(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            channel = Channel(sock, next(self._numbers), self._stopping)
            thread = threading.Thread(target=self._serve, args=(channel,), daemon=True)
            self._channels[channel] = thread
            thread.start()

    def _serve(self, channel):
        try:
            self.converse(channel)
        except OSError:
            pass  # The client has gone, a fault has closed the connection, or stop() has.
        finally:
            channel.close()
            self._channels.pop(channel)

"""Mail servers that do as little as they can, so that a benchmark measures who sends.

`python -m support.tests.delivery.sink smtp|http [SECONDS]` prints its port and takes every mail,
each after so many seconds, until it is ended.
"""

import asyncio
import sys

HTTP_ANSWER = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: x\r\nContent-Length: 0\r\n\r\n"
# The longest name first: an answer is chosen by the first four letters alone.
SMTP_ANSWERS = {
    b"EHLO": b"250-sink\r\n250-SIZE 35882577\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
    b"AUTH": b"235 2.7.0 Accepted\r\n",
    b"DATA": b"354 Go ahead\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}


class Sink(asyncio.Protocol):
    """Answers `seconds` later where a mail is taken, else at once."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport

    def accept(self, answer):
        if self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, self.transport.write, answer)
        else:
            self.transport.write(answer)


class SMTPSink(Sink):
    in_data = False

    def connection_made(self, transport):
        super().connection_made(transport)
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data):
        self.received += data
        end = b"\r\n.\r\n" if self.in_data else b"\r\n"
        if not self.received.endswith(end):
            return
        received, self.received = self.received, b""
        if self.in_data:
            self.in_data = False
            self.accept(b"250 2.0.0 OK\r\n")
            return
        verb = received[:4].upper()
        self.in_data = verb == b"DATA"
        self.transport.write(SMTP_ANSWERS.get(verb, b"250 2.0.0 OK\r\n"))


class HTTPSink(Sink):
    def data_received(self, data):
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) >= length:
            self.received = b""
            self.accept(HTTP_ANSWER)


async def serve(kind, seconds):
    loop = asyncio.get_running_loop()
    protocol = {"smtp": SMTPSink, "http": HTTPSink}[kind]
    server = await loop.create_server(lambda: protocol(seconds), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))

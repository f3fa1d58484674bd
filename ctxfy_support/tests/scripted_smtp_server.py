"""An SMTP server that misbehaves where a test says so.

Stages for `faults`: connect (the banner), EHLO, HELO, STARTTLS, AUTH, MAIL, RCPT, DATA, "." (the
end of the data), RSET, NOOP, QUIT.
"""

import base64
import re
from dataclasses import dataclass

from ctxfy_support.tests.loopback import Fault, LoopbackServer
from ctxfy_support.tests.smtp_server import Account, Message, tls_context


@dataclass(frozen=True)
class Answer(Fault):
    """Answer with this code and text, which has a line break for each line but the last."""

    code: int
    text: str = "2.0.0 OK"

    @property
    def data(self):
        *lines, last = self.text.split("\n")
        return "".join(
            [f"{self.code}-{line}\r\n" for line in lines] + [f"{self.code} {last}\r\n"]
        ).encode()

    def strike(self, channel, answer):
        channel.send(self.data)


class ScriptedSMTPServer(Account, LoopbackServer):
    """As much SMTP as smtplib speaks; `security` is "starttls", "tls" or "none"."""

    def converse(self, channel):
        if self.security == "tls":
            channel.start_tls(tls_context())
        Conversation(self, channel).run()


class Conversation:
    def __init__(self, server, channel):
        self.server = server
        self.channel = channel
        self.user = None
        self.do_RSET("")

    def run(self):
        self._take_turn("connect", Answer, 220, "smtp.test ESMTP")
        while line := self.channel.file.readline():
            verb, _, argument = line.decode("latin-1").strip().partition(" ")
            verb = verb.upper()
            answer = self._take_turn(verb, getattr(self, f"do_{verb}", self._refuse), argument)
            match answer and answer.code:
                case 220:
                    self.channel.start_tls(tls_context())
                case 221:
                    return
                case 354:
                    self._take_turn(".", self._accept, self._read_data())

    def _take_turn(self, stage, act, *arguments):
        """Act and return the answer sent, or None where a fault struck before the act."""
        fault = self.server.faults.take(stage)
        if fault is not None and not fault.accept:
            return fault.strike(self.channel, Answer(250).data)
        answer = act(*arguments)
        if fault is None:
            self.channel.send(answer.data)
        else:
            fault.strike(self.channel, answer.data)
        return answer

    @property
    def _must_encrypt(self):
        return self.server.security == "starttls" and not self.channel.encrypted

    def _refuse(self, argument):
        return Answer(502, "5.5.1 Unrecognized command")

    def do_EHLO(self, argument):  # noqa: N802
        offered = "STARTTLS" if self._must_encrypt else "AUTH PLAIN LOGIN"
        return Answer(250, f"smtp.test\nSIZE 35882577\n8BITMIME\n{offered}")

    def do_HELO(self, argument):  # noqa: N802
        return Answer(250, "smtp.test")

    def do_STARTTLS(self, argument):  # noqa: N802
        return Answer(220, "2.0.0 Ready") if self._must_encrypt else self._refuse(argument)

    def do_AUTH(self, argument):  # noqa: N802
        if self._must_encrypt:
            return Answer(530, "5.7.0 Must issue a STARTTLS command first")
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() == "PLAIN":
            _, *offered = (decode(initial) if initial else self._ask("")).split("\0")
        else:
            user = decode(initial) if initial else self._ask("Username:")
            offered = [user, self._ask("Password:")]
        if offered != [self.server.user, self.server.password]:
            return Answer(535, "5.7.8 Username and Password not accepted")
        self.user = self.server.user
        return Answer(235, "2.7.0 Accepted")

    def _ask(self, challenge):
        self.channel.send(Answer(334, base64.b64encode(challenge.encode()).decode()).data)
        return decode(self.channel.file.readline())

    def do_MAIL(self, argument):  # noqa: N802
        if self.user is None:
            return Answer(530, "5.7.0 Authentication Required")
        self.sender = address(argument)
        return Answer(250)

    def do_RCPT(self, argument):  # noqa: N802
        if self.sender is None:
            return Answer(503, "5.5.1 MAIL first")
        self.recipients.append(address(argument))
        return Answer(250)

    def do_DATA(self, argument):  # noqa: N802
        return Answer(354, "Go ahead") if self.recipients else Answer(503, "5.5.1 RCPT first")

    def _read_data(self):
        lines = []
        for line in self.channel.file:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line.removeprefix(b"."))
        raise ConnectionAbortedError

    def _accept(self, raw):
        self.server.messages.append(
            Message(
                sender=self.sender,
                recipients=self.recipients,
                raw=raw,
                encrypted=self.channel.encrypted,
                user=self.user,
                connection=self.channel.number,
            )
        )
        return self.do_RSET("")

    def do_RSET(self, argument):  # noqa: N802
        self.sender = None
        self.recipients = []
        return Answer(250)

    def do_NOOP(self, argument):  # noqa: N802
        return Answer(250)

    def do_QUIT(self, argument):  # noqa: N802
        return Answer(221, "2.0.0 Bye")


def decode(text):
    return base64.b64decode(text).decode()


def address(argument):
    """The address in `FROM:<ada@example.com> SIZE=…`."""
    return re.search(r"<(.*?)>", argument)[1]

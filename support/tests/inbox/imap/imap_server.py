"""As much IMAP as a fetcher speaks, from a server that misbehaves where a test says so.

Stages for `faults`: connect (the greeting) and each command. For a real server see dovecot.py.
"""

import re

from ctxfy_support.tests.loopback import HOST, LoopbackServer


class ScriptedIMAPServer(LoopbackServer):
    """Has these mails, with the UIDs 1, 2, …; takes any password; knows no TLS, and maybe IDLE."""

    user, folder = "replies@ctxfy.example", "INBOX"

    def __init__(self, mails, *, capabilities="AUTH=PLAIN"):
        super().__init__()
        self.mails = dict(enumerate(mails, 1))
        self.capabilities = capabilities
        self.seen = set()
        # A command that is answered with NO.
        self.refused = None
        # What says that it idles; and how often the connection breaks at a mail, by UID.
        self.idling = b"+ idling\r\n"
        self.break_at = {}
        # The UIDs that a search names and a fetch does not find.
        self.hidden = set()
        self.lines = []

    def env_for(self, security):
        return {
            "IMAP_HOST": HOST,
            "IMAP_PORT": str(self.port),
            "IMAP_SECURITY": security,
            "IMAP_USER": self.user,
            "IMAP_PASSWORD": "abcdefghijklmnop",
            "IMAP_FOLDER": self.folder,
            "SSL_CERT_FILE": "/dev/null",
        }

    def heard(self, *words):
        """The lines that have one of these words."""
        return [line for line in self.lines if any(word in line for word in words)]

    def converse(self, channel):
        self._say(channel, "connect", b"* OK ready\r\n")
        while line := channel.file.readline():
            self.lines.append(line.decode("latin-1").strip())
            tag, _, rest = self.lines[-1].partition(" ")
            words = rest.upper().removeprefix("UID ").split()
            verb = words[0]
            if verb == self.refused:
                self._say(channel, verb, f"{tag} NO not here\r\n".encode())
                continue
            answer = getattr(self, f"do_{verb}", lambda *_: b"")(rest, channel)
            self._say(channel, verb, answer + f"{tag} OK done\r\n".encode())
            if verb == "LOGOUT":
                return

    def _say(self, channel, stage, answer):
        fault = self.faults.take(stage)
        if fault is None:
            channel.send(answer)
        else:
            fault.strike(channel, answer)

    def do_CAPABILITY(self, *_):  # noqa: N802
        return f"* CAPABILITY IMAP4rev1 {self.capabilities}\r\n".encode()

    def do_AUTHENTICATE(self, rest, channel):  # noqa: N802
        channel.send(b"+ \r\n")
        channel.file.readline()
        return b""

    def do_SELECT(self, *_):  # noqa: N802
        return f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY 1] UIDs\r\n".encode()

    def do_SEARCH(self, *_):  # noqa: N802
        uids = " ".join(str(uid) for uid in self.mails if uid not in self.seen)
        return f"* SEARCH {uids}\r\n".encode()

    def do_FETCH(self, rest, channel):  # noqa: N802
        uid = int(re.search(r"FETCH (\d+)", rest).group(1))
        if uid in self.hidden:
            return b""
        mail = self.mails[uid]
        if "BODY" not in rest:
            return f"* {uid} FETCH (UID {uid} FLAGS () RFC822.SIZE {len(mail)})\r\n".encode()
        if self.break_at.get(uid):
            self.break_at[uid] -= 1
            raise ConnectionAbortedError
        return f"* {uid} FETCH (UID {uid} BODY[] {{{len(mail)}}}\r\n".encode() + mail + b")\r\n"

    def do_STORE(self, rest, channel):  # noqa: N802
        self.seen |= {int(uid) for uid in re.search(r"STORE ([\d,]+)", rest).group(1).split(",")}
        return b""

    def do_IDLE(self, rest, channel):  # noqa: N802
        channel.send(self.idling)
        channel.file.readline()
        return b""

    def do_LOGOUT(self, *_):  # noqa: N802
        return b"* BYE\r\n"

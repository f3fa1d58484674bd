"""The mailbox that customers' answers come to, over IMAP: the only module that speaks it.

Every wait has a bound, whatever the other side does: a watchdog shuts the socket when a command's
time is over, and a few seconds after this process was asked to end.
"""

import contextlib
import imaplib
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from imapclient import SEEN
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from support.delivery.socket_watch import SocketWatch
from support.delivery.stop_request import StopRequest
from support.inbox.imap_client import Client, Watchdog
from support.inbox.oversized import make_notice

COMMAND_SECONDS = 30.0
# What a mail may take beyond that, by its size.
SLOWEST_OCTETS_PER_SECOND = 100_000
GOODBYE_SECONDS = 2.0
# A server ends IDLE after half an hour (RFC 2177, section 3), a firewall forgets the connection
# long before. A mail that arrives while a command runs is announced in that command's answer, and
# not by IDLE: it waits this long at most.
IDLE_SECONDS = 60.0

LARGEST_MAIL_OCTETS = 25 * 1024 * 1024
LARGEST_HEADER_OCTETS = 256 * 1024
# imaplib reads lines of at most 1,000,000 octets, and one has every UID that a search finds.
MAILS_SEARCHED_AT_ONCE = 50_000


class MailboxError(Exception):
    """The connection is gone, or the server took too long: a new one may do better."""


class MailboxRefusedError(MailboxError):
    """The server answers, and refuses our log-in, our folder or TLS."""


class MailError(Exception):
    """The server refuses to hand this one mail over, or to mark it."""


class Mailbox:
    """One session with the folder selected, as a context manager.

    Any method raises MailboxError when the session is over.
    """

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop
        self.uid_validity = 0
        self._watch = SocketWatch()
        self._watchdog = Watchdog(self._watch, stop)
        # IMAPClient ships no types.
        self._client: Any = None
        self._count = 0

    def __enter__(self) -> Self:
        self._watchdog.start()
        try:
            with self._within(COMMAND_SECONDS, MailboxRefusedError):
                self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._client = client = Client(self._watch, COMMAND_SECONDS)
        if settings.IMAP_SECURITY == "starttls":
            client.starttls(ssl.create_default_context())
        if client.has_capability("LOGINDISABLED"):
            raise MailboxRefusedError("the server takes no password without TLS")
        try:
            # imaplib's LOGIN puts a user's name on the line as it is, whatever stands in it.
            log_in = client.plain_login if client.has_capability("AUTH=PLAIN") else client.login
            log_in(settings.IMAP_USER, settings.IMAP_PASSWORD)
        except IMAPClientError as exc:
            if isinstance(exc.__context__, IMAPClientAbortError):
                raise exc.__context__ from None
            raise MailboxRefusedError(f"the log-in was refused: {exc}") from exc
        try:
            answer = client.select_folder(settings.IMAP_FOLDER)
        except imaplib.IMAP4.readonly as exc:
            raise MailboxRefusedError(f"{settings.IMAP_FOLDER} cannot be written to") from exc
        except IMAPClientAbortError:
            raise
        except IMAPClientError as exc:
            raise MailboxRefusedError(f"no folder {settings.IMAP_FOLDER}: {exc}") from exc
        self.uid_validity = int(answer.get(b"UIDVALIDITY", 0))
        self._count = int(answer[b"EXISTS"])

    @contextlib.contextmanager
    def _within(self, seconds: float, refusal: type[Exception] = MailboxError) -> Iterator[None]:
        """Bound what is done here; raise MailboxError, or `refusal` where the server says no."""
        self._watchdog.deadline = time.monotonic() + seconds
        try:
            yield
        except MailboxError:
            raise
        except Exception as exc:
            if self._watch.is_aborted or isinstance(exc, TimeoutError):
                raise MailboxError(f"no answer within {seconds:g} seconds") from exc
            if isinstance(exc, IMAPClientError) and not isinstance(exc, IMAPClientAbortError):
                raise refusal(f"the server refused: {exc}") from exc
            # imaplib lets anything escape where a server does not speak IMAP.
            raise MailboxError(f"{type(exc).__name__}: {exc}") from exc
        finally:
            self._watchdog.deadline = float("inf")

    def close(self) -> None:
        """Say goodbye, if there is somebody to hear it, and let go of every socket."""
        if self._client is not None:
            with contextlib.suppress(Exception), self._within(GOODBYE_SECONDS):
                self._client.logout()
            with contextlib.suppress(Exception):
                self._client.shutdown()
        self._watchdog.over.set()
        self._watch.abort()

    def find_unseen(self) -> list[int]:
        """The UIDs of the mails that nobody has seen, oldest first."""
        found: set[int] = set()
        with self._within(COMMAND_SECONDS):
            # Many servers show a session what is new between two commands alone.
            self._client.noop()
            for mails in _split(self._count):
                found.update(self._client.search(f"{mails}UNSEEN"))
        return sorted(found)

    def read(self, uid: int) -> bytes | None:
        """The mail, its headers and a notice if it is too large; None if gone, or seen by now."""
        known = self._fetch(uid, "FLAGS", "RFC822.SIZE")
        if known is None or SEEN in known.get(b"FLAGS", ()):
            return None
        octets = int(known.get(b"RFC822.SIZE", 0))
        if octets <= LARGEST_MAIL_OCTETS:
            return self._read_part(uid, "BODY.PEEK[]", octets)
        part = f"BODY.PEEK[HEADER]<0.{LARGEST_HEADER_OCTETS}>"
        header = self._read_part(uid, part, LARGEST_HEADER_OCTETS)
        return header and make_notice(header, octets, LARGEST_MAIL_OCTETS)

    def _read_part(self, uid: int, part: str, octets: int) -> bytes | None:
        """None also where it is empty, as which some servers show what is gone (RFC 2180, 4.1)."""
        found = self._fetch(uid, part, octets=octets) or {}
        return (
            next((text for name, text in found.items() if name.startswith(b"BODY[")), None) or None
        )

    def _fetch(self, uid: int, *items: str, octets: int = 0) -> dict[bytes, Any] | None:
        """What the server knows of a mail; None if it is gone."""
        try:
            with self._within(COMMAND_SECONDS + octets / SLOWEST_OCTETS_PER_SECOND, MailError):
                found: dict[int, dict[bytes, Any]] = self._client.fetch([uid], items)
        except MailError as exc:
            if "EXPUNGE" in str(exc).upper():
                return None
            raise
        return found.get(uid)

    def mark_seen(self, uids: Sequence[int]) -> None:
        """Mark mails that are stored for good; those that are gone do not matter."""
        with self._within(COMMAND_SECONDS, MailError):
            self._client.add_flags(list(uids), [SEEN], silent=True)

    def wait(self, seconds: float, beat: Callable[[], None]) -> None:
        """Return when something is new, by IDLE, or after so many seconds where there is none.

        `beat` is called about every second.
        """
        if not self._client.has_capability("IDLE"):
            _wait_until(time.monotonic() + seconds, self.stop, beat)
            return
        with self._within(COMMAND_SECONDS):
            self._client.idle()
        end = time.monotonic() + IDLE_SECONDS
        while not self.stop.is_made and time.monotonic() < end:
            beat()
            if self._hear_of_mail(min(1.0, IDLE_SECONDS)):
                break
        with self._within(COMMAND_SECONDS):
            self._client.idle_done()

    def _hear_of_mail(self, seconds: float) -> bool:
        began = time.monotonic()
        with self._within(seconds + COMMAND_SECONDS):
            heard = self._client.idle_check(timeout=seconds)
            if not heard and time.monotonic() - began < seconds / 2:
                # Readable, and there is nothing to read.
                raise IMAPClientAbortError("the server closed the connection")
        return any(b"EXISTS" in line or b"RECENT" in line for line in heard)


def _split(count: int) -> list[str]:
    """The search keys, each for so many mails as fit, that together find all there are."""
    starts = range(1, count + 1, MAILS_SEARCHED_AT_ONCE)
    if len(starts) < 2:
        return [""]  # An empty folder has no first mail to name.
    ends = [*(start - 1 for start in starts[1:]), "*"]
    return [f"{start}:{end} " for start, end in zip(starts, ends, strict=True)]


def _wait_until(end: float, stop: StopRequest, beat: Callable[[], None]) -> None:
    while not stop.is_made and (left := end - time.monotonic()) > 0:
        beat()
        stop.wait(min(1.0, left))

"""Headers and bodies as text, whatever a mail claims about itself; nothing here raises.

The email package parses, under a policy that takes no header apart by itself and keeps none that
is out of all proportion: its own default does both when a header is looked at, which can raise and
can take minutes.
"""

import codecs
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from email.policy import Compat32

LONGEST_HEADER = 4_000
# Of those who may be many: recipients.
LONGEST_ADDRESS_LIST = 20_000
MOST_PARAMETERS = 50
LONGEST_BODY_BYTES = 4_000_000
# Of a text that is then masked, split and cut.
LONGEST_TEXT = 200_000
# Where a mail says whom it was sent to; what a server on the way has added comes first.
ADDRESS_LISTS = ("delivered-to", "x-original-to", "envelope-to", "to", "cc")
# Codecs of Python's own that are no character set, or are slow.
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"}
# All control characters but tab and line break: PostgreSQL refuses NUL, the API the others.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_BREAK = re.compile(r"\r\n?|\u2028|\u2029")


class SafePolicy(Compat32):
    """Keeps the beginning of a header that is too long."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        is_list = name.lower() in ADDRESS_LISTS
        value = value[: LONGEST_ADDRESS_LIST if is_list else LONGEST_HEADER]
        if name.lower().startswith("content-"):
            # Within a quotation that does not end, the package counts from the start at each.
            value = ";".join(value.split(";", MOST_PARAMETERS)[:MOST_PARAMETERS])
        return name, value


SAFE = SafePolicy()


def clean(text: str) -> str:
    """Text that every database and every reader can hold: no lone surrogate, no control."""
    text = _LINE_BREAK.sub("\n", text).encode("utf-8", "replace").decode()
    return _CONTROLS.sub("", text)


def decode(data: bytes, charset: str = "") -> str:
    """Bytes as text, by the character set that they claim; else UTF-8, else Windows' western."""
    try:
        name = codecs.lookup(charset).name if charset else "utf-8"
        if name in _NO_CHARSETS:
            raise LookupError(name)
        return clean(data.decode(name, "strict" if name == "utf-8" else "replace"))
    except (LookupError, ValueError):
        pass
    try:
        return clean(data.decode())
    except ValueError:
        return clean(data.decode("cp1252", "replace"))


def read_header(message: Message, name: str) -> str:
    """The first header of this name, its encoded words decoded, on one line; empty if none."""
    return next(read_headers(message, name), "")


def read_headers(message: Message, name: str) -> Iterator[str]:
    return map(_decode_words, read_undecoded(message, name))


def read_undecoded(message: Message, name: str) -> Iterator[str]:
    for found, value in message.raw_items():
        if found.lower() == name:
            yield str(value)[:LONGEST_ADDRESS_LIST]


def _decode_words(value: str) -> str:
    # 8-bit characters, which a header may not have, come as surrogates.
    text = decode(value.encode("utf-8", "surrogateescape")) if _has_surrogates(value) else value
    if "=?" in text:
        try:
            words = decode_header(text[:LONGEST_HEADER])
            text = "".join(
                part if isinstance(part, str) else decode(part, charset or "utf-8")
                for part, charset in words
            )
        except Exception:  # noqa: S110  (the package raises what it likes; it stays as it is)
            pass
    return " ".join(clean(text).split())


def _has_surrogates(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def read_parameter(part: Message, header: str, name: str) -> str:
    """A parameter such as a file's name, in whatever way it is encoded; empty if there is none."""
    try:
        value = part.get_param(name, None, header)
        if value is None:
            return ""
        if isinstance(value, tuple):
            charset, _, text = value
            return " ".join(decode(str(text).encode("latin-1", "replace"), charset or "").split())
        return _decode_words(str(value))
    except Exception:
        return ""


def read_children(part: Message) -> list[Message]:
    """The parts within a part, or the mail that it is; none of one that is text or data."""
    children = part.get_payload()
    found = children if isinstance(children, list) else []
    return [child for child in found if isinstance(child, Message)]


def read_content(part: Message) -> bytes:
    """A part's content, decoded from what it was sent as; as it is where that is wrong."""
    try:
        content = part.get_payload(decode=True)
    except Exception:
        content = None
    if isinstance(content, bytes):
        return content
    payload = part.get_payload()
    return payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""


def read_text(part: Message) -> str:
    """A part's content as text."""
    charset = read_parameter(part, "content-type", "charset")
    return decode(read_content(part)[:LONGEST_BODY_BYTES], charset)

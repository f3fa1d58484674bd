"""A mail's parts: which are its text, and which are left out, with their names and sizes."""

from email.message import Message

from support.inbox.html_text import read_html
from support.inbox.reading import (
    clean,
    read_children,
    read_content,
    read_header,
    read_parameter,
    read_text,
)

MOST_PARTS = 200
LONGEST_NAME = 200
LONGEST_KIND = 100
ALTERNATIVE = "multipart/alternative"


class Parts:
    """What is text, and what is left out."""

    def __init__(self) -> None:
        self.attachments: list[dict[str, object]] = []
        self._seen = 0

    def read(self, part: Message) -> str:
        """The text of a part and those within it."""
        self._seen += 1
        if self._seen > MOST_PARTS:
            return ""
        kind = part.get_content_type()
        children = read_children(part)
        if kind.startswith("multipart/") and children:
            if kind == ALTERNATIVE:
                return self._choose(children)
            texts = [self.read(child) for child in children]
            return "\n\n".join(text for text in texts if text.strip())
        is_text = kind in {"text/plain", "text/html"} and not self._is_attached(part)
        # Of one that says that it has parts, and has none, the words are all there is.
        if is_text or kind.startswith("multipart/"):
            text = read_text(part)
            return read_html(text) if kind == "text/html" else text
        self._leave_out(part, kind)
        return ""

    def _choose(self, children: list[Message]) -> str:
        """Of several forms of the same the plain one, if there is anything in it."""
        texts = [(child.get_content_type() != "text/plain", self.read(child)) for child in children]
        return next((text for _, text in sorted(texts, key=lambda row: row[0]) if text.strip()), "")

    def _is_attached(self, part: Message) -> bool:
        disposition = read_header(part, "content-disposition").lower()
        return disposition.startswith("attachment") or bool(_find_name(part))

    def _leave_out(self, part: Message, kind: str) -> None:
        name = _find_name(part)
        if within := read_children(part):
            name = name or read_header(within[0], "subject")
            size = sum(_measure(child) for child in within)
        else:
            size = len(read_content(part))
        self.attachments.append(
            {"name": name[:LONGEST_NAME], "type": clean(kind)[:100], "size": size}
        )


def _find_name(part: Message) -> str:
    return read_parameter(part, "content-disposition", "filename") or read_parameter(
        part, "content-type", "name"
    )


def _measure(message: Message) -> int:
    """About as many octets as a mail within this one has."""
    return sum(
        len(payload)
        for payload in (part.get_payload() for part in message.walk())
        if isinstance(payload, str)
    )

"""The little Markdown that the OpenAPI document's texts use, as HTML in which nothing can run.

Paragraphs, lists, fences, `code`, **bold** and [links](#there); everything else stays text.
"""

import re
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((#[\w-]+|https?://[^)\s]+)\)")
_FENCE = re.compile(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ITEM = re.compile(r"^(?:-|\d+\.) ", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """A block of code; its first line was ```language title."""

    language: str
    title: str
    text: str


@dataclass(frozen=True)
class Section:
    """What stands under one heading; the first section of a text has none."""

    title: str
    prose: SafeString
    fences: list[Fence]

    @property
    def slug(self) -> str:
        return self.title.lower().replace(" ", "-")


def render_inline(text: str) -> SafeString:
    """One paragraph's content."""
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        code, bold, label, target = match.groups()
        parts.append((text[end : match.start()],))
        if code:
            parts.append((format_html("<code>{}</code>", code),))
        elif bold:
            parts.append((format_html("<strong>{}</strong>", bold),))
        else:
            parts.append((format_html('<a href="{}">{}</a>', target, label),))
        end = match.end()
    return format_html_join("", "{}", [*parts, (text[end:],)])


def _render_block(block: str) -> SafeString:
    if not _ITEM.match(block):
        return format_html("<p>{}</p>", render_inline(block))
    items = [(render_inline(item.strip()),) for item in _ITEM.split(block)[1:]]
    tag = "ul" if block.startswith("-") else "ol"
    return format_html("<{0}>{1}</{0}>", tag, format_html_join("", "<li>{}</li>", items))


def render(text: str) -> SafeString:
    """Paragraphs and lists; a fence is left out."""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", _FENCE.sub("", text))]
    return format_html_join("\n", "{}", [(_render_block(block),) for block in blocks if block])


def split_sections(text: str) -> list[Section]:
    """The text before the first `## ` heading, and what stands under each."""
    titles_and_texts = ["", *_SECTION.split(text)]
    return [
        Section(title, render(body), [Fence(*groups) for groups in _FENCE.findall(body)])
        for title, body in zip(titles_and_texts[::2], titles_and_texts[1::2], strict=True)
    ]

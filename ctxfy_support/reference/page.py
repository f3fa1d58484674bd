"""The Markdown as HTML in which nothing can run: a section for each chapter, operation and error.

Text stands in a section's prose, blocks of code beside it; what an operation's console needs to
know stands in an attribute, for the page's script.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from ctxfy_support.answers import Part
from ctxfy_support.envelope import get_phrase
from ctxfy_support.error_answers import get_errors
from ctxfy_support.openapi import get_document
from ctxfy_support.reference.operations import Reader
from ctxfy_support.reference.samples import LANGUAGES, WORDS, get_templates
from ctxfy_support.reference.text import PLACEHOLDER, get_markdown

_ENDPOINT = re.compile(r"(GET|POST|PATCH|PUT|DELETE) (/\S*)")


@dataclass
class Section:
    """A heading and what stands under it; `tag` is h1 to h3."""

    tag: str
    title: str
    known_as: str = ""
    operation: Part | None = None
    tokens: list[Token] = field(default_factory=list)

    @property
    def slug(self) -> str:
        """What Markdown readers call its heading."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")

    @property
    def id(self) -> str:
        return self.known_as or self.slug

    @property
    def opening(self) -> str:
        """Its first paragraph, as Markdown."""
        text = next((token.content for token in self.tokens if token.type == "inline"), "")
        return " ".join(text.split())

    @property
    def lead(self) -> str:
        """Its first sentence, as Markdown."""
        return re.split(r"(?<=[.!?])\s", self.opening)[0]

    @property
    def console(self) -> str:
        return json.dumps(self.operation)

    @property
    def prose(self) -> SafeString:
        return _render([token for token in self.tokens if token.type != "fence"])

    @property
    def aside(self) -> SafeString:
        """Its blocks of code; programs in a row are one request in many languages."""
        fences = [token for token in self.tokens if token.type == "fence"]
        groups = groupby(fences, lambda token: token.info in LANGUAGES)
        parts = [
            ("card sample" if is_sample else "codes", _render([*rows]))
            for is_sample, rows in groups
        ]
        return format_html_join("", '<div class="{}">{}</div>', parts)


# --- Markdown -------------------------------------------------------------------------------------


def _render_fence(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """```language A title; of a program in many languages the language alone."""
    text, info = tokens[index].content, tokens[index].info
    language, _, title = info.partition(" ")
    context = {"text": text, "language": language, "title": title, "name": LANGUAGES.get(info)}
    return render_to_string("reference/code.html", context)


def _render_inline_code(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    text = tokens[index].content
    if not (match := _ENDPOINT.fullmatch(text)):
        return format_html("<code>{}</code>", text)
    method, path = match.groups()
    badge = format_html('<span class="method {}">{}</span>', method.lower(), method)
    return format_html("<code>{} {}</code>", badge, path)


@cache
def _get_parser() -> MarkdownIt:
    """CommonMark with tables, but without HTML and images."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.add_render_rule("fence", _render_fence)
    parser.add_render_rule("code_inline", _render_inline_code)
    parser.add_render_rule("table_open", lambda *_: '<div class="table" tabindex="0"><table>')
    parser.add_render_rule("table_close", lambda *_: "</table></div>")
    return parser


def _render(tokens: Sequence[Token]) -> SafeString:
    html: str = _get_parser().renderer.render(tokens, _get_parser().options, {})
    return SafeString(html)  # The parser lets no HTML through, and escapes all text.


def render(text: str) -> SafeString:
    return _render(_get_parser().parse(text))


# --- Sections -------------------------------------------------------------------------------------


@cache
def _get_sections() -> list[Section]:
    """Every h1 and h2, and those h3 that are an operation or an error."""
    reader = Reader(get_document())
    operations = {
        operation["summary"]: reader.read_console(method, path, operation)
        for method, path, operation in reader.iterate_operations()
    }
    ids = {f"{status} {get_phrase(status)}": f"error-{status}" for status in get_errors()}
    ids |= {title: operation["id"] for title, operation in operations.items()}
    sections: list[Section] = []
    tokens = iter(_get_parser().parse(get_markdown()))
    for token in tokens:
        parts = [token]
        if token.type == "heading_open":
            parts += [next(tokens), next(tokens)]
            title = parts[1].content
            if title in ids or token.tag in {"h1", "h2"}:
                row = Section(token.tag, title, ids.get(title, ""), operations.get(title))
                sections.append(row)
                continue
        sections[-1].tokens += parts
    return sections


def _make_context() -> dict[str, object]:
    """The text's sections; and for its navigation the guide's chapters, then the operations."""
    document = get_document()
    groups: dict[str, list[Section]] = {"Guide": []}
    tags = {tag["name"] for tag in document["tags"]}
    for section in _get_sections()[1:]:
        if section.tag == "h2" and section.title in tags:
            groups[section.title] = []
        elif section.tag == "h2" or section.operation:
            groups[[*groups][-1]].append(section)
    scheme = next(iter(document["components"]["securitySchemes"].values()))
    return {
        "info": document["info"],
        "origin": PLACEHOLDER,
        "sections": _get_sections(),
        "navigation": groups.items(),
        "key": {"format": scheme["bearerFormat"], "pattern": scheme["x-pattern"]},
        "languages": json.dumps({"names": LANGUAGES, "words": WORDS, "templates": get_templates()}),
    }


def make_page() -> str:
    """The whole page, its addresses at PLACEHOLDER."""
    return render_to_string("reference/page.html", _make_context())


def make_index() -> str:
    """What there is to read, for programs that read (llmstxt.org)."""
    return render_to_string("reference/llms.txt", _make_context())

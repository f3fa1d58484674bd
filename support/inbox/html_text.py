"""The text of a mail that is HTML alone, in time that grows with its length.

lxml (libxml2) takes it apart: Python's own parser took a minute for 50 KB of `<a <a <a …`, and
whoever can mail us chooses what is parsed. Quotations become lines that begin with `>`, as in a
mail that is text, so that quoting.py tells them apart in both.
"""

import re

from lxml import etree

LONGEST_HTML = 1_000_000
DEEPEST_QUOTATION = 10
LONGEST_TARGET = 500
_UNSEEN = {"head", "script", "style", "template", "title", "noscript", "object"}
_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl"),
    *("dt", "fieldset", "figure", "footer", "form", "header", "hr", "html", "li", "main", "nav"),
    *("ol", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"),
}
# Apart from what stands before and after by an empty line.
_PARAGRAPHS = {"h1", "h2", "h3", "h4", "h5", "h6", "p"}
_CELLS = {"td", "th"}
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")


class _Page:
    """Lines as a browser would break them, each behind the marks of its quotation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.pre = 0
        self._words: list[str] = []

    def write(self, text: str) -> None:
        if self.pre:
            first, *others = text.split("\n")
            self._words.append(first)
            for line in others:
                self.end_line()
                self._words.append(line)
        else:
            self._words.append(_SPACE.sub(" ", text))

    def end_line(self, *, always: bool = False) -> None:
        text = "".join(self._words)
        text = text.rstrip() if self.pre else _SPACE.sub(" ", text).strip()
        self._words.clear()
        if text or always:
            self.lines.append("> " * min(self.depth, DEEPEST_QUOTATION) + text)

    def end_paragraph(self) -> None:
        self.end_line()
        if self.lines and self.lines[-1].strip("> "):
            self.lines.append(("> " * min(self.depth, DEEPEST_QUOTATION)).rstrip())


def read_html(html: str) -> str:
    """What a reader sees, as lines; empty where there is nothing to see."""
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )
    source = html[:LONGEST_HTML].replace("\0", "").encode("utf-8", "replace")
    try:
        root = etree.fromstring(source, parser)
    except etree.XMLSyntaxError:
        return ""
    if root is None:
        return ""
    page = _Page()
    unseen = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        unseen += (event == "start") - (event == "end") if tag in _UNSEEN else 0
        if event == "start":
            _begin(page, tag)
            if not unseen and element.text:
                page.write(element.text)
        else:
            if tag == "a" and not unseen:
                page.write(_find_target(element))
            _end(page, tag)
            if not unseen and element.tail:
                page.write(element.tail)
    page.end_line()
    while page.lines and not page.lines[-1].strip("> "):
        page.lines.pop()
    return "\n".join(page.lines).strip("\n")


def _find_target(link: etree._Element) -> str:
    """Where a link leads, unless its own text says so."""
    target = str(link.get("href", "")).strip()[:LONGEST_TARGET]
    is_told = target.rstrip("/") in (link.text or "")
    return f" <{target}>" if target.startswith(("http://", "https://")) and not is_told else ""


def _begin(page: _Page, tag: str) -> None:
    if tag in _PARAGRAPHS:
        page.end_paragraph()
    elif tag in _BLOCKS:
        page.end_line()
    if tag == "br":
        page.end_line(always=True)
    elif tag == "li":
        page.write("- ")
    elif tag == "blockquote":
        page.depth += 1
    elif tag == "pre":
        page.pre += 1


def _end(page: _Page, tag: str) -> None:
    if tag in _PARAGRAPHS:
        page.end_paragraph()
    elif tag in _BLOCKS:
        page.end_line()
    elif tag in _CELLS:
        page.write(" ")
    if tag == "blockquote":
        page.depth -= 1
    elif tag == "pre":
        page.pre -= 1

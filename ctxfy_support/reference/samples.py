"""Requests as code in five languages; static/ctxfy_support/samples.js writes the same on the page.

A template of templates/reference/samples/ has «slots» and lines that begin with a condition:
`@body …` stands only in a request that has one, `@header …` once for each header.
"""

import json
import re
from dataclasses import dataclass
from functools import cache

from django.conf import settings

# The word after a fence, which is the template's name too -> what people call the language.
LANGUAGES = {
    "sh": "curl",
    "python": "Python",
    "javascript": "JavaScript",
    "go": "Go",
    "ruby": "Ruby",
}
# What JSON calls otherwise than these languages do.
WORDS = {
    "python": {"null": "None", "true": "True", "false": "False"},
    "ruby": {"null": "nil"},
}
_TEMPLATES = settings.BASE_DIR / "templates/reference/samples"
_LINE = re.compile(r"^(?:@(\w+) ?)?(.*)$", re.MULTILINE)
_SLOT = re.compile(r"«(\w+)»")
_STRING_OR_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\b(?:null|true|false)\b')


@cache
def get_templates() -> dict[str, str]:
    """By language; the page carries them for its script."""
    return {name: (_TEMPLATES / f"{name}.txt").read_text() for name in LANGUAGES}


def _write_string(language: str, text: str) -> str:
    if language != "sh":
        literal = json.dumps(text, ensure_ascii=False)
        # "#{" would interpolate.
        return literal.replace("#", "\\#") if language == "ruby" else literal
    # Within double quotes where nothing means anything to a shell.
    if re.fullmatch(r"[\w :/.?&=%+,;@-]*", text, re.ASCII):
        return f'"{text}"'
    return "'" + text.replace("'", "'\\''") + "'"


def _write_body(language: str, body: object, pad: str) -> str:
    text = json.dumps(body, indent=4 if language == "python" else 2, ensure_ascii=False)
    if language == "go" and "`" not in text:
        return f"`{text}`"
    if language in {"sh", "go"}:
        return _write_string(language, text)

    def translate(match: re.Match[str]) -> str:
        if match[0].startswith('"'):
            return match[0].replace("#", "\\#") if language == "ruby" else match[0]
        return WORDS.get(language, {}).get(match[0], match[0])

    return _STRING_OR_WORD.sub(translate, text).replace("\n", f"\n{pad}")


@dataclass(frozen=True)
class Sample:
    """A request; without a `body` it is None. With `needs_key`, programs read API_KEY."""

    method: str
    url: str
    headers: dict[str, str]
    needs_key: bool
    body: object = None

    def meets(self, condition: str) -> bool:
        """Whether a line stands in this request's program; `given` is a key that a reader gave."""
        return {
            "": True,
            "env": self.needs_key,
            "given": False,
            "headers": self.needs_key or bool(self.headers),
            "header": bool(self.headers),
            "body": self.body is not None,
            "bodiless": self.body is None,
            "get": self.method == "GET",
            "delete": self.method == "DELETE",
            "send": self.method not in {"GET", "DELETE"},
        }[condition]

    def write(self, language: str) -> str:
        """A program that sends the request and prints the answer."""
        lines = []
        for condition, line in _LINE.findall(get_templates()[language].rstrip()):
            if self.meets(condition):
                headers = self.headers.items() if condition == "header" else [("", "")]
                lines += [self._fill(language, line, *header) for header in headers]
        return "\n".join(lines).rstrip(" \\")

    def _fill(self, language: str, line: str, name: str, value: str) -> str:
        def fill(match: re.Match[str]) -> str:
            slot = match[1]
            if slot == "body":
                return _write_body(language, self.body, " " * (len(line) - len(line.lstrip())))
            if slot.lower() == "method":
                return self.method if slot.islower() else self.method.capitalize()
            texts = {"url": self.url, "name": name, "value": value, "header": f"{name}: {value}"}
            return _write_string(language, texts[slot])

        return _SLOT.sub(fill, line)

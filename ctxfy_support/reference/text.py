"""The reference as one Markdown text: the guide, and what the OpenAPI document says.

/docs.md serves it, /docs renders it, /llms.txt lists what is in it.
"""

import re
from functools import cache

from django.conf import settings
from django.template import Context, Engine
from django.utils.module_loading import import_string

from ctxfy_support.answers import HEADERS, RATE_LIMIT_HEADERS
from ctxfy_support.error_answers import get_errors
from ctxfy_support.openapi import get_document
from ctxfy_support.pagination import DEFAULT_PER_PAGE, MAX_PER_PAGE
from ctxfy_support.reference.operations import Reader, get_content, join, make_fence

# Stands for the address that a request came to; `.invalid` belongs to nobody (RFC 2606).
PLACEHOLDER = "https://origin.invalid"
CHAPTERS = (
    "introduction",
    "quick-start",
    "first-key",
    "authentication",
    "requests-and-answers",
    "status-and-state",
    "safe-retries",
    "conversation",
    "what-changed",
    "lists",
    "rate-limits",
    "trying-it-out",
    "errors",
    "versions",
    "changelog",
)
_RELEASE = re.compile(r"^## (.+)$", re.MULTILINE)
_API_LINE = re.compile(r"^- API: ((?:.+\n?)(?:  .+\n?)*)", re.MULTILINE)


def _read_changelog() -> str:
    """The lines of CHANGELOG.md that users of the API can notice, by release."""
    path = settings.BASE_DIR / "CHANGELOG.md"
    _, *parts = _RELEASE.split(path.read_text() if path.is_file() else "")
    blocks = []
    for release, text in zip(parts[::2], parts[1::2], strict=True):
        lines = [" ".join(line.split()) for line in _API_LINE.findall(text)]
        blocks += [f"### {release}", "\n".join(f"- {line[0].upper()}{line[1:]}" for line in lines)]
    return join(*blocks)


def _collect_facts() -> dict[str, object]:
    """What the guide fills in, from where the code has it."""
    document = get_document()
    reader = Reader(document)
    errors = get_errors()
    bad_request = document["components"]["responses"][errors[400].name]
    facts: dict[str, object] = {
        "info": document["info"],
        "origin": PLACEHOLDER,
        "max_body_kib": settings.MAX_BODY_BYTES // 1024,
        "default_per_page": DEFAULT_PER_PAGE,
        "max_per_page": MAX_PER_PAGE,
        "rate_limit_headers": "\n".join(
            reader.write_parameters({name: HEADERS[name] for name in RATE_LIMIT_HEADERS})
        ),
        "error": make_fence("json", errors[400].examples[0][1], "One shape"),
        "error_fields": "\n".join(reader.write_properties(get_content(bad_request)["schema"])),
        "errors": reader.write_catalogue({status: row.name for status, row in errors.items()}),
        "changelog": _read_changelog(),
    }
    for path in settings.GUIDE_FACTS:
        facts |= import_string(path)
    return facts


@cache
def get_markdown() -> str:
    """The whole text, its addresses at PLACEHOLDER; links within it lead to headings' ids."""
    engine, context = Engine.get_default(), Context(_collect_facts(), autoescape=False)
    chapters = [
        engine.get_template(f"reference/guide/{name}.md").render(context) for name in CHAPTERS
    ]
    reference = Reader(get_document()).write(PLACEHOLDER)
    return join(*(chapter.strip() for chapter in chapters), reference) + "\n"

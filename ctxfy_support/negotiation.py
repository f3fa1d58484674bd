"""Answers are always JSON; a client whose Accept rules it out gets a 406."""

import re
from collections.abc import Iterable

from rest_framework.exceptions import NotAcceptable, NotAuthenticated
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# The most specific that a client names says whether it takes JSON (RFC 9110, 12.5.1).
_JSON_RANGES = ("application/json", "application/*", "*/*")
# A browser's or a careless client's text/html gets JSON all the same: its request is served.
_FORGIVEN = ("text/html", "text/*")
_ZERO = re.compile(r"0+(\.0*)?")


def _read_ranges(accept: str) -> dict[str, bool]:
    """Each media range, and whether it is wanted: a weight of 0 says no, unless another says yes.

    Further parameters do not count: there is one JSON.
    """
    ranges: dict[str, bool] = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        weights = [value.strip() for key, _, value in pairs if key.strip() == "q"]
        is_wanted = not any(_ZERO.fullmatch(weight) for weight in weights)
        ranges[name] = is_wanted or ranges.get(name, False)
    return ranges


def accepts_json(accept: str) -> bool:
    """Whether a client with this Accept header is served."""
    ranges = _read_ranges(accept.strip() or "*/*")
    said = [ranges[name] for name in _JSON_RANGES if name in ranges]
    return said[0] if said else any(ranges.get(name, False) for name in _FORGIVEN)


class JSONNegotiation(BaseContentNegotiation):
    """Chooses the parser by the body's media type and always the first renderer."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the body's media type; None becomes a 415."""
        media_type = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer and its media type; raise NotAcceptable (406).

        DRF asks this before it asks who is there. A 406 is for those who may come in, and counts:
        so everybody else gets the 401 or 429 that they would get anyway.
        """
        choice = next(iter(renderers)), "application/json"
        if not accepts_json(request.META.get("HTTP_ACCEPT", "")):
            # For the error itself, before which DRF would come here once more.
            request.accepted_renderer, request.accepted_media_type = choice
            raise NotAcceptable if request.user.is_authenticated else NotAuthenticated
        return choice

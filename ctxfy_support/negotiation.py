"""Answers are always JSON; a client whose Accept rules it out gets a 406."""

from collections.abc import Iterable

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# A browser's or a careless client's text/html gets JSON all the same: its request is served.
_ACCEPTED = {"*/*", "application/*", "application/json", "text/*", "text/html"}


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
        """Return the first renderer and its media type; raise NotAcceptable (406)."""
        renderer = next(iter(renderers))
        accept = request.META.get("HTTP_ACCEPT", "").strip() or "*/*"
        ranges = {item.split(";")[0].strip().lower() for item in accept.split(",")}
        if not ranges & _ACCEPTED:
            raise NotAcceptable
        return renderer, "application/json"

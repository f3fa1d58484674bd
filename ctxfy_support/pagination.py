"""Pages as the contract's section 2 has them: the rows, and where one is among them."""

import re
from inspect import getdoc
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ctxfy_support.answers import Part

DEFAULT_PER_PAGE = 25
MAX_PER_PAGE = 100
# No account has this many pages; a larger number would not fit the database's OFFSET.
MAX_PAGE = 10**9
# Rows (name, default, maximum, description).
PARAMETERS = (
    ("page", 1, MAX_PAGE, "Which page. One after the last is empty, not an error."),
    ("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE, "How many rows a page has."),
)
_NUMBERS = {
    "page": (1, "The page you asked for."),
    "per_page": (1, "How many rows a page has."),
    "total": (0, "How many rows there are."),
    "pages": (0, "How many pages; 0 without rows."),
}
PAGINATION_SCHEMA: Part = {
    "type": "object",
    "description": "Where a page stands among all rows.",
    "properties": {
        name: {"type": "integer", "minimum": minimum, "description": description}
        for name, (minimum, description) in _NUMBERS.items()
    },
    "required": sorted(_NUMBERS),
}
_EXAMPLE = {"page": 1, "per_page": DEFAULT_PER_PAGE, "total": 42, "pages": 2}


class PageEnvelope(BasePagination):
    """`?page=1&per_page=25`, answered as {<plural>: rows, "pagination": {…}}.

    A subclass names its rows; its docstring describes a page of them in the OpenAPI document.
    A page after the last is empty. Two queries, whatever the number of rows.
    """

    plural = ""

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the page's rows; raise ValidationError (400) that names each bad parameter."""
        numbers: dict[str, int] = {}
        errors = {}
        for name, default, maximum, _ in PARAMETERS:
            text = request.query_params.get(name, str(default))
            if re.fullmatch(r"[0-9]{1,10}", text) and 1 <= int(text) <= maximum:
                numbers[name] = int(text)
            else:
                errors[name] = [f"Must be a whole number from 1 to {maximum}"]
        if errors:
            raise ValidationError(errors)
        self.page, self.per_page = numbers["page"], numbers["per_page"]
        self.total = queryset.count()
        start = (self.page - 1) * self.per_page
        return list(queryset[start : start + self.per_page])

    def get_paginated_response(self, data: object) -> Response:
        return Response(
            {
                self.plural: data,
                "pagination": {
                    "page": self.page,
                    "per_page": self.per_page,
                    "total": self.total,
                    "pages": -(-self.total // self.per_page),
                },
            }
        )

    # --- For drf-spectacular ---

    def get_paginated_response_schema(self, schema: Part) -> Part:
        return {
            "type": "object",
            "description": getdoc(type(self)),
            "properties": {
                self.plural: schema,
                # The example completes those that operations give for one row.
                "pagination": {"$ref": "#/components/schemas/Pagination", "example": _EXAMPLE},
            },
            "required": sorted((self.plural, "pagination")),
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[Part]:
        return [
            {
                "in": "query",
                "name": name,
                "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": default},
                "description": description,
            }
            for name, default, most, description in PARAMETERS
        ]

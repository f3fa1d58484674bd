"""Pages as the contract's section 2 has them: the rows, and where one is among them."""

import re
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

DEFAULT_PER_PAGE = 25
MAX_PER_PAGE = 100
# No account has this many pages; a larger number would not fit the database's OFFSET.
MAX_PAGE = 10**9


class PageEnvelope(BasePagination):
    """`?page=1&per_page=25`, answered as {<the view's plural>: rows, "pagination": {…}}.

    A page after the last is empty. Two queries, whatever the number of rows.
    """

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the page's rows; raise ValidationError (400) that names each bad parameter."""
        numbers: dict[str, int] = {}
        errors = {}
        for name, default, maximum in (
            ("page", 1, MAX_PAGE),
            ("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE),
        ):
            text = request.query_params.get(name, str(default))
            if re.fullmatch(r"[0-9]{1,10}", text) and 1 <= int(text) <= maximum:
                numbers[name] = int(text)
            else:
                errors[name] = [f"Must be a whole number from 1 to {maximum}"]
        if errors:
            raise ValidationError(errors)
        self.name: str = view.plural  # type: ignore[union-attr]
        self.page, self.per_page = numbers["page"], numbers["per_page"]
        self.total = queryset.count()
        start = (self.page - 1) * self.per_page
        return list(queryset[start : start + self.per_page])

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                self.name: data,
                "pagination": {
                    "page": self.page,
                    "per_page": self.per_page,
                    "total": self.total,
                    "pages": -(-self.total // self.per_page),
                },
            }
        )

"""Pages as the contract's section 2 has them: the rows, where they stand, and what comes next."""

from collections.abc import Sequence
from contextlib import nullcontext
from inspect import getdoc
from typing import Any, TypedDict, cast
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ctxfy_support.answers import Part
from ctxfy_support.ids import parse_id
from ctxfy_support.postgresql.planning import planned_by_value
from ctxfy_support.query_parameters import Parameter, make_number_reader, read_query

DEFAULT_PER_PAGE = 25
MAX_PER_PAGE = 100
# No account has this many pages; a larger number would not fit the database's OFFSET.
MAX_PAGE = 10**9
NO_SUCH_ROW = "Must be the id of a row of yours"


def _read_id(text: str) -> UUID:
    row_id = parse_id(text)
    if row_id is None:
        raise ValueError(NO_SUCH_ROW)
    return row_id


def _describe_number(default: int, maximum: int) -> Part:
    return {"type": "integer", "minimum": 1, "maximum": maximum, "default": default}


PARAMETERS = (
    Parameter(
        "page",
        "Which page. One after the last is empty, not an error. Not together with `after`.",
        _describe_number(1, MAX_PAGE),
        make_number_reader(MAX_PAGE),
    ),
    Parameter(
        "per_page",
        "How many rows a page has.",
        _describe_number(DEFAULT_PER_PAGE, MAX_PER_PAGE),
        make_number_reader(MAX_PER_PAGE),
    ),
    Parameter(
        "after",
        "The `id` of the last row that you have: the rows that come after it. The `Link` of each "
        "page has it filled in.",
        {"type": "string"},
        _read_id,
    ),
)
LINK: Part = {
    "description": 'With `rel="next"`: where the next page is, with everything that you asked for '
    "and `after` filled in; absent from the last page. A path without a host: resolve it against "
    "the address that you asked.",
    "schema": {"type": "string"},
    "example": '</v1/example?per_page=25&after=0193a2c4-5d6e-7f80-9a1b-2c3d4e5f6071>; rel="next"',
}
_NUMBERS = {
    "page": (1, "The page you asked for; absent with `after`."),
    "per_page": (1, "How many rows a page has."),
    "total": (0, "How many rows there are in all pages."),
    "pages": (0, "How many pages; 0 without rows, absent with `after`."),
}
PAGINATION_SCHEMA: Part = {
    "type": "object",
    "description": "Where a page stands among all rows.",
    "properties": {
        name: {"type": "integer", "minimum": minimum, "description": description}
        for name, (minimum, description) in _NUMBERS.items()
    },
    "required": ["per_page", "total"],
}
_EXAMPLE = {"page": 1, "per_page": DEFAULT_PER_PAGE, "total": 42, "pages": 2}


class Place(TypedDict, total=False):
    """Where a page begins and ends, as the request says it."""

    page: int
    per_page: int
    after: UUID


class PageEnvelope(BasePagination):
    """`?page=1&per_page=25`, answered as {<plural>: rows, "pagination": {…}}.

    A subclass names its rows and what they can be filtered by; its docstring describes a page of
    them in the OpenAPI document. Rows come newest first, by (created_at, id). A page after the
    last is empty. Two queries, whatever the number of rows, and with `after` one more.
    """

    plural = ""
    filters: Sequence[Parameter] = ()

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the page's rows; raise ValidationError (400) that names each bad parameter."""
        asked, after = self.read_place(request)
        following = _find_following(queryset, after) if after else None
        wanted = {each.lookup: asked[each.name] for each in self.filters if each.name in asked}
        rows = queryset.filter(**wanted) if wanted else queryset
        start = 0 if self.page is None else (self.page - 1) * self.per_page
        with planned_by_value() if wanted else nullcontext():
            self.total = rows.count()
            # One more than is shown tells whether there is a next page; the total was counted at
            # another moment, and a row that came between would hide the last page.
            rest = rows.filter(following) if following else rows
            chosen = rest[start : start + self.per_page + 1]
            if wanted or start:
                # An index alone says which rows these are. What is passed over is never read.
                chosen = queryset.filter(pk__in=chosen.values("pk"))
            found = list(chosen)
        return self.keep(found)

    def read_place(self, request: Request) -> tuple[dict[str, object], UUID | None]:
        """What the request asks for, by name, and the row that it has last, if it says so.

        Raises ValidationError (400) that names each bad parameter.
        """
        asked = read_query(request, (*self.filters, *PARAMETERS))
        place = cast(Place, asked)
        after = place.get("after")
        if after and "page" in place:
            raise ValidationError({"page": ["Cannot be combined with after"]})
        self.path = request._request.path  # noqa: SLF001  (Django's own request)
        self.query = [*request.query_params.items()] if asked else []
        self.page = None if after else place.get("page", 1)
        self.per_page = place.get("per_page", DEFAULT_PER_PAGE)
        return asked, after

    def keep(self, found: list[Any]) -> list[Any]:
        """The page's rows, of what was found for it: one more where there is a next page."""
        self.has_next = len(found) > self.per_page
        self.rows = found[: self.per_page]
        return self.rows

    def get_paginated_response(self, data: object) -> Response:
        pagination = {"per_page": self.per_page, "total": self.total}
        if self.page is not None:
            pages = -(-self.total // self.per_page)
            pagination = {"page": self.page, **pagination, "pages": pages}
        headers = {"Link": f'<{self._make_next_address()}>; rel="next"'} if self.has_next else None
        return Response({self.plural: data, "pagination": pagination}, headers=headers)

    def _make_next_address(self) -> str:
        """The next page's path and query: whatever was asked for, `after` the last row shown.

        Without scheme and host, which a proxy may know otherwise than we do.
        """
        last = self.rows[-1]
        after = last["id"] if isinstance(last, dict) else last.pk
        kept = [pair for pair in self.query if pair[0] not in {"page", "after"}]
        return f"{self.path}?{urlencode([*kept, ('after', after)])}"

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
        return [parameter.describe() for parameter in (*self.filters, *PARAMETERS)]


def _find_following(queryset: QuerySet[Model], row_id: UUID) -> Q:
    """What comes after this row, whether or not it still passes the filters.

    Raises ValidationError (400) where the caller has no such row.
    """
    created_at = queryset.filter(pk=row_id).values_list("created_at", flat=True).first()
    if created_at is None:
        raise ValidationError({"after": [NO_SUCH_ROW]})
    older = Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=row_id)
    # The first half bounds the walk through the index; alone it would begin at the newest row.
    return Q(created_at__lte=created_at) & older

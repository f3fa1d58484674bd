"""What is at hand: its facts stand in every log line that is written meanwhile.

A fact is an id or a number of ours, never anybody's text: lines show it as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_NONE: MappingProxyType[str, object] = MappingProxyType({})
_request_id: ContextVar[str] = ContextVar("request_id", default="")
_facts: ContextVar[dict[str, object] | MappingProxyType[str, object]] = ContextVar(
    "facts", default=_NONE
)


def get_request_id() -> str:
    """The current request's id (`req_` and 24 hexadecimal digits); empty outside a request."""
    return _request_id.get()


def begin(request_id: str) -> None:
    """Forget what was at hand before, and begin with this request."""
    _request_id.set(request_id)
    _facts.set({})


def note(**facts: object) -> None:
    """Add to what is known of the current request; outside one, nothing is noted."""
    known = _facts.get()
    if isinstance(known, dict):
        known.update(facts)


@contextmanager
def about(**facts: object) -> Iterator[None]:
    """Have these facts in all lines of the block, beside those of the request around it."""
    token = _facts.set({**_facts.get(), **facts})
    try:
        yield
    finally:
        _facts.reset(token)


def get_facts() -> dict[str, object]:
    """`request_id` (None outside a request, unless the work at hand is for one) and the facts."""
    facts: dict[str, object] = {"request_id": None, **_facts.get()}
    if request_id := _request_id.get():
        facts["request_id"] = request_id
    return facts

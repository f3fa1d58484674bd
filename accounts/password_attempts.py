"""Passwords tried, counted by client network before one is hashed, and hashed two at a time.

django-axes (login_lockout.py) locks one name from one network; over ever new names it never would,
and a hash takes a processor 0.3 seconds. Counted in the database, so that the limit is the same
however many processes serve; a network that has used it up is refused from memory, for a flood
must not become writes.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from accounts.login_lockout import show_locked_out
from accounts.models import PasswordAttempts
from accounts.windows import NOW, count_act
from ctxfy_support.client_address import get_client_network

LIMIT = 20
WINDOW_SECONDS = 15 * 60
# In each process, which leaves the other half of its four threads to everybody else.
MOST_HASHES = 2
# A bound on memory: the oldest entries go first.
NETWORKS_KEPT = 10_000
PASSWORD_PAGES = {"admin:login", "admin:password_change"}

_FIRST = "VALUES (%s, {now} + %s, 1)"
_GIVE_BACK = "UPDATE {table} SET attempts = attempts - 1 WHERE network = %s AND attempts > 0"
# A row whose window is over is anybody's to delete.
_FORGET = "DELETE FROM {table} WHERE resets_at <= {now}"


class AttemptLimit:
    """What this process knows of networks that have used up their attempts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused: OrderedDict[str, float] = OrderedDict()

    def find_refusal(self, network: str) -> float | None:
        """When a network may try again (Unix seconds) that is known to have no attempt left."""
        with self._lock:
            until = self._refused.get(network, 0.0)
        return until if until > time.time() else None

    def count(self, network: str) -> float | None:
        """Count one attempt; return when the network may try again if this is one too many."""
        with connection.cursor() as cursor:
            table = PasswordAttempts._meta.db_table
            sql = count_act(table, "network", "attempts", _FIRST)
            cursor.execute(sql, [network, WINDOW_SECONDS])
            attempts, resets_at, _ = cursor.fetchone()
            if attempts == 1:
                cursor.execute(_FORGET.format(table=table, now=NOW[connection.vendor]))
        if attempts <= LIMIT:
            return None
        with self._lock:
            self._refused[network] = resets_at
            if len(self._refused) > NETWORKS_KEPT:
                self._refused.popitem(last=False)
        return float(resets_at)

    def give_back(self, network: str) -> None:
        """Take a right password out of the count: an office logs in from one address."""
        with connection.cursor() as cursor:
            table = PasswordAttempts._meta.db_table
            cursor.execute(_GIVE_BACK.format(table=table), [network])


class Hashing:
    """Places for those who hash a password in this process.

    Nobody waits for one: that would keep a thread, and 40 clients would keep them all.
    """

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MOST_HASHES)

    @contextmanager
    def take_place(self) -> Iterator[bool]:
        """Whether there is a place; it is kept for the block."""
        has_place = self._places.acquire(blocking=False)
        try:
            yield has_place
        finally:
            if has_place:
                self._places.release()


attempt_limit = AttemptLimit()
hashing = Hashing()


class PasswordAttemptsMiddleware:
    """Stands before the pages that check a password, behind the check of the form's origin.

    Otherwise any page out in the world could use up its reader's attempts. By then the body has
    been read, so no slow client holds a place.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponseBase],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        if request.method != "POST" or match is None or match.view_name not in PASSWORD_PAGES:
            return None
        network = get_client_network(request)
        if until := attempt_limit.find_refusal(network):
            return _refuse(request, until)
        with hashing.take_place() as has_place:
            if not has_place:
                return show_locked_out(request, "busy", None)
            if until := attempt_limit.count(network):
                return _refuse(request, until)
            response = view(request, *args, **kwargs)
        if response.status_code == HTTPStatus.FOUND and request.user.is_authenticated:
            attempt_limit.give_back(network)
        return response


def _refuse(request: HttpRequest, until: float) -> HttpResponse:
    return show_locked_out(request, "network", datetime.fromtimestamp(until, UTC))

"""/metrics, in Prometheus' text format, summed over all processes.

Processes count in memory and add what is new to one table, a second later at most and outside any
request; what the database knows itself (tickets, the mail queue) is asked when a scraper asks.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ctxfy_support.models import Metric

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
REQUEST_COUNTERS = {"http_requests_total": "Answers by method, route and status."}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ADD = """
INSERT INTO metrics (series, value) VALUES {rows}
ON CONFLICT (series) DO UPDATE SET value = metrics.value + excluded.value
"""


@dataclass(frozen=True)
class Family:
    """A metric and its samples, rows as (series, value)."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, float]]

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for series, value in self.samples:
            yield f"{series} {value:.15g}"


def labels(**values: object) -> str:
    """Labels as Prometheus writes them, their values escaped."""
    escaped = {
        name: str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        for name, value in values.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


class Counters:
    """This process's counts since it last added them to the table."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: defaultdict[str, float] = defaultdict(float)
        self._thread: threading.Thread | None = None

    def add(self, amounts: dict[str, float]) -> None:
        """Count in memory; the table follows."""
        with self._lock:
            for series, amount in amounts.items():
                self._new[series] += amount

    def unwritten(self) -> dict[str, float]:
        """What the table does not have yet."""
        with self._lock:
            return dict(self._new)

    def start(self) -> None:
        """Flush every second from now on, in a thread of its own; once a process is enough."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._flush_for_ever, daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Add what is new to the table, in one statement; keep it for later if that fails."""
        with self._lock:
            new, self._new = self._new, defaultdict(float)
        if not new:
            return
        # Sorted, so that two processes lock the rows in one order.
        rows = sorted(new.items())
        sql = _ADD.format(rows=", ".join(["(%s, %s)"] * len(rows)))
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, [value for row in rows for value in row])
        except DatabaseFailure:
            self.add(new)
            raise

    def _flush_for_ever(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            close_old_connections()
            with contextlib.suppress(DatabaseFailure):
                self.flush()


counters = Counters()


class MetricsMiddleware:
    """Counts answers by method, route and status, and their time by route."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - started
        # The route, not the path: a scanner's paths would become series without end.
        match = request.resolver_match
        route = match.route if match else "unknown"
        bucket = next((bound for bound in BUCKETS if seconds <= bound), "+Inf")
        method = request.method if request.method in METHODS else "other"
        answers, times, total = _name_series(method, route, response.status_code, bucket)
        counters.add({answers: 1, times: 1, total: seconds})
        return response


@lru_cache(maxsize=1_000)
def _name_series(method: str, route: str, status: int, bucket: float | str) -> tuple[str, str, str]:
    """The series that one answer counts in: answers, its time's bucket, the sum of times."""
    return (
        f"http_requests_total{labels(method=method, route=route, status=status)}",
        f"http_request_duration_seconds_bucket{labels(route=route, le=bucket)}",
        f"http_request_duration_seconds_sum{labels(route=route)}",
    )


def _counted(name: str, help_text: str) -> Family:
    """A counter with every series that the table has of it."""
    rows = Metric.objects.filter(series__startswith=f"{name}{{").order_by("series")
    return Family(name, "counter", help_text, list(rows.values_list("series", "value")))


def _durations() -> Family:
    """The histogram; its buckets are stored one by one and each shown with all below it."""
    name = "http_request_duration_seconds"
    stored = dict(
        Metric.objects.filter(series__startswith=f"{name}_").values_list("series", "value")
    )
    samples: list[tuple[str, float]] = []
    for series, total in sorted(stored.items()):
        if not series.startswith(f"{name}_sum"):
            continue
        route = series.removeprefix(f"{name}_sum{{route=").removesuffix("}")
        count = 0.0
        for bound in (*BUCKETS, "+Inf"):
            bucket = f'{name}_bucket{{route={route},le="{bound}"}}'
            count += stored.get(bucket, 0)
            samples.append((bucket, count))
        samples += [(series, total), (f"{name}_count{{route={route}}}", count)]
    return Family(name, "histogram", "Time from request to answer, by route.", samples)


def _collect() -> list[Family]:
    """Everything that the database has; raises DatabaseFailure while it is away."""
    counters.flush()
    families = [_counted(name, text) for name, text in REQUEST_COUNTERS.items()]
    families.append(_durations())
    for path in settings.METRICS:
        families += import_string(path)()
    return families + [_counted(name, text) for name, text in settings.COUNTERS.items()]


def _collect_unwritten() -> list[Family]:
    """What this process has counted and could not add to the table.

    Each series has one label more, `unwritten`, the process: without the table's totals the series
    themselves would fall, which Prometheus takes for a counter that began anew.
    """
    new = sorted(counters.unwritten().items())
    process = f',unwritten="{socket.gethostname()}:{os.getpid()}"}}'
    families = []
    for name, text in {**REQUEST_COUNTERS, **settings.COUNTERS}.items():
        samples = [
            (series.removesuffix("}") + process, value)
            for series, value in new
            if series.startswith(f"{name}{{")
        ]
        families.append(Family(name, "counter", text, samples))
    return families


def _is_allowed(request: HttpRequest) -> bool:
    """Whether the request has METRICS_TOKEN, where that is set."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_token = constant_time_compare(token.strip(), settings.METRICS_TOKEN)
    return not settings.METRICS_TOKEN or (scheme.lower() == "bearer" and is_token)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything there is to count; while the database is away, what this process knows."""
    if not _is_allowed(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        families, is_up = _collect(), True
    except DatabaseFailure:
        logger.warning("The database did not answer a scrape")
        families, is_up = _collect_unwritten(), False
    families.append(
        Family(
            "support_database_up",
            "gauge",
            "1 if the database answered this scrape.",
            [("support_database_up", float(is_up))],
        )
    )
    lines = [line for family in families for line in family.lines()]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4")

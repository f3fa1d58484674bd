"""/metrics, as Prometheus scrapes it."""

import re
import time

import pytest
import requests
from django.db import OperationalError, connection

from accounts.tests.factories import APIKeyFactory
from support.tests.factories import TicketFactory

PATH = "/v1/support/tickets"
TICKET = {"type": "Billing", "reply_address": "x", "message": "x"}


def scrape(client):
    text = client.get("/metrics").content.decode()
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{.*\})? -?[\d.e+-]+", line), line
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


@pytest.fixture
def away():
    """`with away():` the database does not answer."""

    def fail(execute, sql, params, many, context):
        raise OperationalError("away")

    return lambda: connection.execute_wrapper(fail)


@pytest.fixture
def no_database(bearer, away):
    with away():
        yield


@pytest.fixture
def bearer(db):
    return {"Authorization": f"Bearer {APIKeyFactory().secret}"}


def test_counts_answers_and_their_time(client, bearer):
    client.post(PATH, TICKET, "application/json", headers=bearer)
    client.get(f"{PATH}/1", headers=bearer)
    client.get(f"{PATH}/2", headers=bearer)
    client.get("/wp-login.php")
    samples = scrape(client)
    route = "v1/support/tickets"
    assert samples[f'http_requests_total{{method="POST",route="{route}",status="201"}}'] == "1"
    detail = f'route="{route}/<str:pk>"'
    assert samples[f'http_requests_total{{method="GET",{detail},status="404"}}'] == "2"
    assert samples['http_requests_total{method="GET",route="unknown",status="404"}'] == "1"
    assert samples[f'http_request_duration_seconds_bucket{{{detail},le="+Inf"}}'] == "2"
    assert samples[f"http_request_duration_seconds_count{{{detail}}}"] == "2"


def test_has_buckets_that_only_grow(client, bearer):
    for _ in range(3):
        client.get(PATH, headers=bearer)
    samples = scrape(client)
    counts = [
        int(value)
        for series, value in samples.items()
        if series.startswith('http_request_duration_seconds_bucket{route="v1/support/tickets",')
    ]
    assert counts == sorted(counts)
    assert counts[-1] == 3


def test_counts_tickets_by_type(client, bearer):
    for kind in ("billing", "Billing", "made up", 'a"b\\'):
        client.post(PATH, TICKET | {"type": kind}, "application/json", headers=bearer)
    samples = scrape(client)
    assert samples['support_tickets_total{type="billing"}'] == "2"
    assert samples['support_tickets_total{type="other"}'] == "2"


def test_shows_the_mail_queue(client, db):
    TicketFactory.create_batch(2)
    TicketFactory(email_status="failed")
    TicketFactory(email_status="sent")
    samples = scrape(client)
    assert samples['support_mail_unsent{status="pending"}'] == "2"
    assert samples['support_mail_unsent{status="failed"}'] == "1"
    assert float(samples["support_mail_oldest_pending_seconds"]) > 0
    assert samples["support_mail_channel_up"] == "1"


def test_does_not_grow_in_queries(client, db, django_assert_max_num_queries):
    TicketFactory.create_batch(20)
    with django_assert_max_num_queries(12):
        client.get("/metrics")


def test_tells_what_this_process_knows_while_the_database_is_away(client, bearer, no_database):
    client.post(PATH, TICKET, "application/json", headers=bearer)
    samples = scrape(client)
    assert samples["support_database_up"] == "0"
    (value,) = [
        value
        for series, value in samples.items()
        if series.startswith('http_requests_total{method="POST",') and 'status="503"' in series
    ]
    assert value == "1"
    # Never under the names of the totals, which would then seem to begin anew.
    assert all(",unwritten=" in series for series in samples if "{" in series)


def test_counts_what_was_kept_meanwhile_once_it_is_back(client, bearer, away):
    with away():
        client.get("/no-such-page")
        scrape(client)
    samples = scrape(client)
    assert samples["support_database_up"] == "1"
    assert samples['http_requests_total{method="GET",route="unknown",status="404"}'] == "1"
    assert not [series for series in samples if "unwritten" in series]


@pytest.mark.parametrize(
    "value", [None, "Bearer", "Bearer wrong", "Basic made-up", "made-up", "Bearer ä", "Bearer \xff"]
)
def test_asks_for_its_token(client, db, settings, value):
    settings.METRICS_TOKEN = "made-up"
    answer = client.get("/metrics", headers={"Authorization": value} if value else {})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b"http_requests" not in answer.content


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_answers_whoever_has_the_token(client, db, settings, scheme):
    settings.METRICS_TOKEN = "made-up"
    headers = {"Authorization": f"{scheme} made-up"}
    assert client.get("/metrics", headers=headers).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_is_right_under_several_processes(service, smtp_server):
    headers = {"Authorization": f"Bearer {APIKeyFactory().secret}"}
    services = [service(**smtp_server.env) for _ in range(2)]
    for number in range(10):
        url = services[number % 2].url + PATH
        assert requests.post(url, json=TICKET, headers=headers, timeout=30).status_code == 201
    wanted = {
        'support_tickets_total{type="billing"} 10',
        'support_mail_attempts_total{outcome="sent"} 10',
    }
    end = time.monotonic() + 30
    while not wanted <= set(
        requests.get(services[0].url + "/metrics", timeout=30).text.splitlines()
    ):
        assert time.monotonic() < end
        time.sleep(0.2)

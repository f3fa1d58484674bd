"""/metrics, as Prometheus scrapes it."""

import re
import time

import pytest
import requests

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
    with django_assert_max_num_queries(10):
        client.get("/metrics")


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

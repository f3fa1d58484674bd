"""`request_ids` and `context`: what a caller knows of a failure, kept as sent."""

import csv
import io
import json
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import QueryDict
from django.urls import reverse

from ctxfy_support import environment
from support.back_office.queue import Queue
from support.models import Ticket
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"
IDS = ["req_9f2c4e7a1b3d5f6087a9c2e4", "!~", "a\"b\\c'd<e>&f"]
CONTEXT = {
    "sdk": "ctxfy-python 2.14.1",
    "a.b-c_D": "line\n\tbreak",
    "attempt": 3,
    "ratio": -0.25,
    "big": 18446744073709551615,
    "cached": False,
    "trace": None,
    "emoji": "\U0001f600",
}


def read_back(api, response):
    assert response.status_code == 201, response.content
    return api.get(response["Location"]).json()


def test_reads_back_what_was_sent(api, post):
    ticket = read_back(api, post(request_ids=IDS, context=CONTEXT))
    assert (ticket["request_ids"], ticket["context"]) == (IDS, CONTEXT)
    assert list(ticket["context"]) == list(CONTEXT)
    assert type(ticket["context"]["cached"]) is bool
    assert api.get(PATH).json()["tickets"] == [ticket]


def test_reads_back_that_there_is_none(api, post):
    ticket = read_back(api, post())
    assert (ticket["request_ids"], ticket["context"]) == ([], {})
    ticket = read_back(api, post(context={}))
    assert (ticket["request_ids"], ticket["context"]) == ([], {})


@pytest.mark.parametrize(
    "changes",
    [
        {"request_ids": ["x"]},
        {"request_ids": ["~" * 128] * 20},
        {"context": {"x" * 64: "y" * 1_000}},
        {"context": {f"n{number}": number for number in range(50)}},
        {"context": {"n": 1.7e308, "m": -(10**308), "tiny": 5e-324, "zero": 0}},
        {"context": {"text": ""}},
        {"context": {f"n{number:02}": "x" * 1_000 for number in range(16)}},
        {"context": {f"n{number:02}": "ä" * 500 for number in range(16)}},
    ],
)
def test_accepts(api, post, changes):
    ticket = read_back(api, post(**changes))
    assert {name: ticket[name] for name in changes} == changes


ENTRY = "Each entry must be a string of 1 to 128 printable ASCII characters without spaces"
NAME = "Each name must have 1 to 64 characters of A-Z, a-z, 0-9, underscore, dot and hyphen"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({"request_ids": value}, "Must be a list of strings") for value in (None, "x", {}, 1)),
        *(({"request_ids": value}, "Must have 1 to 20 entries") for value in ([], ["x"] * 21)),
        *(
            ({"request_ids": ["good", value]}, ENTRY)
            for value in ("", " ", "a b", "x" * 129, "ä", "\x00", "a\n", "\x7f", 1, None, ["x"])
        ),
        *(({"context": value}, "Must be an object") for value in (None, "x", [], ["x"], 1, True)),
        (
            {"context": {f"n{number}": 1 for number in range(51)}},
            "Must not have more than 50 entries",
        ),
        *(
            ({"context": {name: 1}}, NAME)
            for name in ("", " ", "a b", "x" * 65, "ä", "\x00", "a\n", "a/b", "<b>", "{x}", "%s")
        ),
        *(
            ({"context": {"n": value}}, "n: must be a string, a number, a boolean or null")
            for value in ({}, [], ["x"], {"a": 1})
        ),
        ({"context": {"n": "x" * 1_001}}, "n: must not be longer than 1000 characters"),
        *(
            ({"context": {"n": value}}, "n: must not contain control characters")
            for value in ("\x00", "a\x1b", "\x7f", "\x85")
        ),
        *(
            ({"context": {"n": value}}, "n: must be a number that a double can hold")
            for value in (10**309, -(10**309), 10**4_000)
        ),
        (
            {"context": {f"n{number:02}": "x" * 1_000 for number in range(17)}},
            "Must not be larger than 16 KiB as JSON",
        ),
        (
            {"context": {f"n{number:02}": "ä" * 1_000 for number in range(9)}},
            "Must not be larger than 16 KiB as JSON",
        ),
    ],
)
def test_refuses(post, changes, message):
    response = post(**changes)
    assert response.status_code == 400
    (field,) = changes
    assert response.json()["details"] == [{"field": field, "message": message}]
    assert not Ticket.objects.exists()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ('{"request_ids": ["\\ud800"]}', ["request_ids"]),
        ('{"context": {"n": "\\udfff"}}', ["context"]),
        ('{"context": {"\\ud800": 1}}', ["context"]),
        ('{"context": {"n": 1e400}}', ["context"]),
        ('{"context": {"n": -1e400}, "request_ids": 1}', ["request_ids", "context"]),
        ('{"context": {"n": NaN}}', None),
        ('{"context": {"n": Infinity}}', None),
        ('{"context": {"n": 1, "n": 2}}', None),
        ('{"context": {"n": ' + "9" * 5_000 + "}}", None),
        ('{"context": ' + '{"n":' * 40_000 + "1" + "}" * 40_000 + "}", None),
    ],
)
def test_refuses_what_only_bytes_can_say(api, body, fields):
    good = '{"type": "x", "reply_address": "x", "message": "x", '
    response = api.post(PATH, good + body[1:], content_type="application/json")
    assert response.status_code == 400
    details = [row["field"] for row in response.json().get("details", [])]
    assert details == (fields or [])


@pytest.mark.django_db(transaction=True)
def test_is_part_of_what_an_idempotency_key_compares(api):
    ticket = {"type": "x", "reply_address": "x", "message": "x"}

    def send(**changes):
        headers = {"Idempotency-Key": "k"}
        return api.post(PATH, ticket | changes, "application/json", headers=headers)

    evidence = {"request_ids": ["a"], "context": {"n": 1, "m": 2}}
    assert send(**evidence).status_code == 201
    assert send(**evidence)["Idempotent-Replayed"] == "true"
    assert send(context={"m": 2, "n": 1}, request_ids=["a"])["Idempotent-Replayed"] == "true"
    for changes in ({}, {"request_ids": ["a"]}, evidence | {"context": {"n": 1, "m": 3}}):
        assert send(**changes).status_code == 422
    assert Ticket.objects.count() == 1


def test_leaves_room_for_the_insert_of_the_release_before():
    ticket = TicketFactory()
    new = ("request_ids", "context", "leaked_keys")
    names = [f.column for f in Ticket._meta.concrete_fields if f.name not in new]
    columns = ", ".join(connection.ops.quote_name(name) for name in names)
    shown = columns.replace('"id"', "%s", 1)
    pk = "01a20c5d-797b-7721-a7a7-b8996c551e97"
    with connection.cursor() as cursor:
        value = pk if connection.vendor == "postgresql" else pk.replace("-", "")
        if connection.vendor == "postgresql":
            shown = shown.replace("%s", "%s::uuid", 1)
        cursor.execute(
            f"INSERT INTO support_tickets ({columns}) SELECT {shown} FROM support_tickets", [value]
        )
    fresh = Ticket.objects.exclude(pk=ticket.pk).get()
    assert (fresh.request_ids, fresh.context, fresh.leaked_keys) == ([], {}, [])


# --- What agents see -----------------------------------------------------------------------------


def page_of(client, ticket):
    return client.get(reverse("admin:support_ticket_change", args=[ticket.pk])).content.decode()


def test_stands_on_the_page(desk):
    ticket = TicketFactory(request_ids=IDS, context=CONTEXT | {"xss": "<script>alert(1)</script>"})
    page = page_of(desk, ticket)
    assert "<code>req_9f2c4e7a1b3d5f6087a9c2e4</code>" in page
    assert 'data-copy="a&quot;b\\c&#x27;d&lt;e&gt;&amp;f"' in page
    assert "?tab=all&amp;q=a%22b%5Cc%27d%3Ce%3E%26f" in page
    assert '<th scope="row">cached</th><td class="cx-value">false</td>' in page
    assert '<th scope="row">trace</th><td class="cx-value">null</td>' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert ">Log</a>" not in page


def test_is_absent_from_the_page_without_any(desk):
    assert "cx-evidence" not in page_of(desk, TicketFactory())


def test_links_each_id_to_the_operators_logs(desk, settings):
    settings.REQUEST_LOG_URL = "https://logs.example/find?a=1&q={request_id}#x"
    page = page_of(desk, TicketFactory(request_ids=['a&b="/<?#%']))
    href = "https://logs.example/find?a=1&amp;q=a%26b%3D%22%2F%3C%3F%23%25#x"
    assert f'<a class="cx-link" href="{href}" target="_blank"' in page
    assert 'rel="noopener noreferrer nofollow"' in page


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("javascript:alert('{request_id}')", "not an http:// or https:// address"),
        ("logs.example/{request_id}", "not an http:// or https:// address"),
        ("https://logs.example/", "does not contain {request_id}"),
        ("https://{request_id}.example/", "must stand behind the host"),
        ("https://a@{request_id}/", "must stand behind the host"),
    ],
)
def test_checks_the_log_address_at_the_start(monkeypatch, value, said):
    monkeypatch.setenv("REQUEST_LOG_URL", value)
    with pytest.raises(ImproperlyConfigured, match="REQUEST_LOG_URL") as refusal:
        environment.http_url_template("REQUEST_LOG_URL", "{request_id}")
    assert said in str(refusal.value)


@pytest.mark.parametrize("number", range(len(IDS)))
def test_is_found_by_id(desk, agent, number):
    found = TicketFactory(request_ids=[f"other-{number}", IDS[number]])
    TicketFactory(request_ids=[f"{IDS[number]}x", f"x{IDS[number]}", f'"{IDS[number]}'])
    TicketFactory()
    queue = Queue(agent, QueryDict(urlencode({"tab": "all", "q": IDS[number]})))
    assert [ticket.pk for ticket in queue.rows()] == [found.pk]


def test_is_found_by_an_id_that_is_a_uuid(agent):
    request_id = "123e4567-e89b-12d3-a456-426614174000"
    found = TicketFactory(request_ids=[request_id])
    for searched in (request_id, found.pk):
        queue = Queue(agent, QueryDict(f"tab=all&q={searched}"))
        assert [row.pk for row in queue.rows()] == [found.pk]


def test_stands_in_the_export(desk):
    TicketFactory(request_ids=["=1+1", "b"], context={"n": "=cmd()\r\nx", "m": None})
    TicketFactory()
    answer = desk.post(reverse("admin:support_ticket_export"), {"queue": "tab=all"})
    text = b"".join(answer.streaming_content).decode()
    assert text.count("\r\n") == 3
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert json.loads(rows[1]["request_ids"]) == ["=1+1", "b"]
    assert json.loads(rows[1]["context"]) == {"n": "=cmd()\r\nx", "m": None}
    assert (rows[0]["request_ids"], rows[0]["context"]) == ("", "")


def test_stands_in_the_mail(post, settings):
    settings.SUPPORT_EMAIL = settings.SUPPORT_EMAIL_FROM = "support@example.com"
    settings.SUPPORT_EMAIL_SENDER = "console"
    post(request_ids=IDS, context={"sdk": "a\nToken balance: 1", "n": None, "html": "<b>&"})
    (sent,) = mail.outbox
    assert f"Request ids:\n  {IDS[0]}\n  {IDS[1]}\n  {IDS[2]}\n" in sent.body
    assert "Context:\n  sdk: a\n    Token balance: 1\n  n: null\n  html: <b>&\n" in sent.body
    html = sent.alternatives[0].content
    assert "<code>a&quot;b\\c&#x27;d&lt;e&gt;&amp;f</code>" in html
    assert "&lt;b&gt;&amp;" in html


def test_leaves_no_gap_in_a_mail_without_any(post, settings):
    settings.SUPPORT_EMAIL = settings.SUPPORT_EMAIL_FROM = "support@example.com"
    settings.SUPPORT_EMAIL_SENDER = "console"
    post()
    (sent,) = mail.outbox
    assert " UTC\n\nOpen it in the back-office:\n" in sent.body
    assert "Request id" not in sent.body + sent.alternatives[0].content


def test_is_searched_by_an_index(agent):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite reads the tickets that name any request")
    TicketFactory.create_batch(3, request_ids=["a"])
    queue = Queue(agent, QueryDict("tab=all&q=a"))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = queue.tickets.explain()
    assert "support_tickets_request_ids" in plan
    assert "support_tickets_search" in plan

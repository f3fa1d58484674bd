"""The list as CSV."""

import csv
import io
import random
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from django.urls import reverse

from accounts.tests.factories import UserFactory
from support.models import TicketEvent
from support.tests.conftest import log_in
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

URL = reverse("admin:support_ticket_export")


def download(client, queue="tab=all"):
    return client.post(URL, {"queue": queue})


def read(response):
    return list(csv.DictReader(response.getvalue().decode().splitlines(keepends=True)))


def test_holds_the_filtered_list(desk, agent):
    tickets = TicketFactory.create_batch(3, type="technical", message='Line one\r\nline "two"')
    TicketFactory(type="billing")
    rows = read(download(desk, "tab=all&type=technical"))
    assert [row["id"] for row in rows] == [str(ticket.pk) for ticket in reversed(tickets)]
    assert rows[0]["message"] == 'Line one\nline "two"'
    assert rows[0]["account"] == tickets[-1].user.username
    assert rows[0]["created_at"].endswith("+00:00")


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    "\n=1",
    "＝1",  # noqa: RUF001  (the full-width sign, which Excel takes for one too)
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("field", ["message", "type", "reply_address"])
def test_disarms_formulas(desk, field, text):
    TicketFactory(**{field: text})
    (row,) = read(download(desk))
    assert row[field].startswith("'")


def test_disarms_an_accounts_name(desk):
    TicketFactory(user=UserFactory(username="=1+1"))
    assert read(download(desk))[0]["account"] == "'=1+1"


def test_leaves_numbers_and_words_alone(desk):
    TicketFactory(token_balance=-5, message="a = b")
    (row,) = read(download(desk))
    assert (row["token_balance"], row["message"]) == ("-5", "a = b")


def test_ends_each_record_and_nothing_else_with_cr_lf(desk):
    TicketFactory.create_batch(4, message="a\r\nb\rc\nd")
    response = download(desk)
    assert response["X-Ticket-Count"] == "4"
    text = response.getvalue()
    assert (text.count(b"\r\n"), text.count(b"\r")) == (5, 5)


def test_streams_in_batches(desk, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("support.back_office.export.BATCH", 2)
    TicketFactory.create_batch(5)
    response = download(desk)
    assert response.streaming
    with django_assert_num_queries(6):  # two for each batch
        assert len(list(response.streaming_content)) == 4


@pytest.mark.parametrize("limit", [2, 10_000])
def test_holds_every_ticket_once_however_many(desk, monkeypatch, limit):
    monkeypatch.setattr("support.back_office.export.BATCH", 2)
    monkeypatch.setattr("support.back_office.queue.COUNT_LIMIT", limit)
    tickets = TicketFactory.create_batch(7)
    same_time = TicketFactory.create_batch(4, created_at=tickets[0].created_at)
    ids = [row["id"] for row in read(download(desk))]
    assert len(ids) == 11
    assert set(ids) == {str(ticket.pk) for ticket in [*tickets, *same_time]}


@pytest.fixture
def breaking(monkeypatch):
    """Two tickets a batch, and a database that goes away before the second is noted."""
    monkeypatch.setattr("support.back_office.export.BATCH", 2)
    TicketFactory.create_batch(5)
    noted = []

    def run(execute, sql, *arguments):
        if sql.startswith("INSERT") and "support_ticket_events" in sql:
            noted.append(sql)
            if len(noted) > 1:
                raise OperationalError("gone")
        return execute(sql, *arguments)

    with connection.execute_wrapper(run):
        yield


def read_all(response):
    """What came, and whether the answer broke off."""
    parts = []
    try:
        parts.extend(response.streaming_content)
    except OperationalError:
        return b"".join(parts).decode(), True
    return b"".join(parts).decode(), False


@pytest.mark.parametrize("limit", [2, 10_000])
def test_says_in_the_file_that_it_broke_off(desk, breaking, monkeypatch, limit):
    monkeypatch.setattr("support.back_office.queue.COUNT_LIMIT", limit)
    text, broke_off = read_all(download(desk))
    assert broke_off
    *rows, last = csv.DictReader(io.StringIO(text, newline=""))
    assert len(rows) == 2
    of = "" if limit == 2 else " of 5"
    assert last["id"] == f"INCOMPLETE: 2{of} tickets, it broke off. Export again."
    assert set(last.values()) == {last["id"], ""}


def test_says_in_the_file_that_tickets_went_meanwhile(desk):
    tickets = TicketFactory.create_batch(3)
    response = download(desk)
    tickets[0].delete()
    *rows, last = read(response)
    assert (response["X-Ticket-Count"], len(rows)) == ("3", 2)
    assert last["id"].startswith("INCOMPLETE: 2 of 3 tickets")


def test_leaves_out_what_came_meanwhile(desk):
    TicketFactory.create_batch(2)
    response = download(desk)
    TicketFactory()
    assert len(read(response)) == int(response["X-Ticket-Count"]) == 2


def test_tells_the_count_in_the_files_name(desk, monkeypatch):
    TicketFactory.create_batch(3)
    assert 'filename="3-tickets-' in download(desk)["Content-Disposition"]
    monkeypatch.setattr("support.back_office.queue.COUNT_LIMIT", 2)
    name = download(desk)["Content-Disposition"]
    assert 'filename="more-than-10000-tickets-' in name


def find_armed(text, separator):
    """Cells that a spreadsheet would calculate, did it separate by this sign."""
    rows = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    return [cell for row in rows for cell in row if re.match(r"\s*[=+@＝＋－＠\t\r]|\s*-\D", cell)]  # noqa: RUF001


SEPARATED = [
    "hello;=1+1",
    "hello; =1+1",
    'hello;"=1+1"',
    'hello;""=1+1',
    "hello\n=1+1",
    "hello\r\n@SUM(A1)",
    "hello\r-cmd",
    "hello\n\n +1",
    "hello;",
    "hello\n",
    'hello;"',
    "a;b;=1;\n;@x",
    "\ta\t=1",
    "hello\u2028=1",
]


@pytest.mark.parametrize("field", ["message", "type", "reply_address"])
def test_disarms_formulas_whatever_sign_separates(desk, field):
    alphabet = [*";,\"'\n\t=+-@ a＝\u2028", "\r\n", "=1"]  # noqa: RUF001
    pick = random.Random(9)
    made_up = ["".join(pick.choices(alphabet, k=pick.randint(1, 12))) for _ in range(150)]
    for text in SEPARATED + made_up:
        TicketFactory(**{field: text})
    text = download(desk).getvalue().decode()
    assert [find_armed(text, separator) for separator in ",;\t"] == [[], [], []]


def test_leaves_words_between_semicolons_alone(desk):
    message = "First; second; a-b = c\n\n  third, 'fourth' \"fifth\";x"
    TicketFactory(message=message)
    assert read(download(desk))[0]["message"] == message


def test_is_written_to_every_timeline_and_to_the_log(desk, agent):
    TicketFactory.create_batch(3)
    read(download(desk))
    events = TicketEvent.objects.filter(kind="export", actor=agent)
    assert events.values("ticket").distinct().count() == 3
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr) == (agent, "3 tickets")
    assert "tab=all" in entry.change_message


def test_needs_its_permission(desk, agent):
    TicketFactory()
    permission = Permission.objects.get(codename="export_ticket")
    agent.groups.get().permissions.remove(permission)
    client = log_in(agent)
    assert download(client).status_code == 403
    assert not TicketEvent.objects.exists()
    page = client.get(reverse("admin:support_ticket_changelist")).content.decode()
    assert "data-export>" not in page


@pytest.mark.parametrize("queue", ["\x00", "tab=%00&q=%00", "q=(", "x" * 5_000])
def test_never_breaks_on_nonsense(desk, queue):
    TicketFactory()
    assert download(desk, queue).status_code == 200


def test_is_empty_where_nothing_matches(desk):
    TicketFactory(type="billing")
    response = download(desk, "tab=all&type=technical")
    assert response["X-Ticket-Count"] == "0"
    assert read(response) == []
    assert not TicketEvent.objects.exists()

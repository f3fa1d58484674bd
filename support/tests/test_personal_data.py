"""manage.py export_account and erase_account: all that is held about a person, and its end."""

import json
import tracemalloc
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import APIKey, User
from accounts.tests.factories import APIKeyFactory, UserFactory
from ctxfy_support.personal_data import Traces
from ctxfy_support.tests.dump import dump_tables
from ctxfy_support.tests.processes import CommandProcess
from support import erasure
from support.models import CannedReply, InboundMail, Message, SavedView, Tag, Ticket, TicketEvent
from support.tests.factories import TicketFactory, make_staff
from support.timeline import EventKind, make_event

pytestmark = pytest.mark.django_db

TICKETS = "/v1/support/tickets"
# Everything by which the person of these tests could be found in a dump.
VALUES = (
    *("lovelace77", "ada@lovelace.example", "Ada", "Lovelace", "Adas laptop", "ada@work.example"),
    *("12 St James Square", "Analytical Engine", "note-about-her", "loose-mail", "req_hers"),
    *("her-idempotency", "her-model", "her-kind", "Adas answer", "Dear her"),
)


@pytest.fixture
def ada():
    return UserFactory(
        username="lovelace77",
        email="ada@lovelace.example",
        first_name="Ada",
        last_name="Lovelace",
    )


@pytest.fixture
def key(ada):
    return APIKeyFactory(user=ada, name="Adas laptop")


def call(client, key, path, **body):
    headers = {
        "HTTP_AUTHORIZATION": f"Bearer {key.secret}",
        "HTTP_IDEMPOTENCY_KEY": body.pop("once"),
    }
    answer = client.post(path, body, content_type="application/json", **headers)
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]


@pytest.fixture
def traces(ada, key, client, desk, agent):
    """All that a person can leave here; the id of one of their tickets."""
    ids = [
        call(
            client,
            key,
            TICKETS,
            once=f"her-idempotency-{address}",
            type="her-kind",
            reply_address=address,
            message="The Analytical Engine stops.",
            request_ids=["req_hers"],
            context={"model": "her-model"},
        )
        for address in ("ada@work.example", "12 St James Square")
    ]
    call(client, key, f"{TICKETS}/{ids[0]}/messages", once="her-idempotency", message="Adas answer")
    for act, body in (
        ("note", {"text": "note-about-her"}),
        ("reply", {"text": "Dear her", "seen": 10**9}),
        ("claim", {}),
    ):
        url = reverse(f"admin:support_ticket_{act}", args=[ids[0]])
        assert desk.post(url, body).status_code == 302
    ticket = Ticket.objects.get(pk=ids[0])
    ticket.tags.add(Tag.objects.create(name="refund"))
    InboundMail.objects.create(
        ticket=ticket, digest="1", sender="ada@work.example", subject="Adas answer"
    )
    InboundMail.objects.create(
        digest="2", sender="Ada@Work.example", text="loose-mail", outcome="unmatched"
    )
    AccessAttempt.objects.create(
        username="lovelace77", ip_address="192.0.2.1", failures_since_start=1
    )
    name_elsewhere(ada, key, agent)
    return ids[0]


def name_elsewhere(ada, key, agent):
    """What agents wrote about her where it is not hers."""
    other = TicketFactory(message="Somebody else's", reply_address="bob@example.com")
    note = "As lovelace77 (ADA@lovelace.example) said; see nobody@work.example."
    make_event(other.pk, agent, EventKind.NOTE, text=note).save()
    make_event(other.pk, agent, EventKind.REVOKE, "ctxfy_abcdef…", ada).save()
    SavedView.objects.create(name="lovelace77", query="q=ada%40work.example", owner=agent)
    Tag.objects.create(name="ada@work.example")
    CannedReply.objects.create(name="Ada Lovelace", text="Write to ada@work.example.")
    for model, thing in ((User, ada), (APIKey, key)):
        LogEntry.objects.create(
            user_id=agent.pk,
            content_type=ContentType.objects.get_for_model(model),
            object_id=str(thing.pk),
            object_repr=str(thing),
            action_flag=CHANGE,
            change_message='[{"added": {"name": "API key", "object": "Adas laptop"}}]',
        )
    LogEntry.objects.create(
        user_id=agent.pk, object_repr="3 tickets", action_flag=CHANGE,
        change_message="Exported: q=ada%40lovelace.example",
    )  # fmt: skip


def erase(*arguments):
    """Erase her account; return what was printed."""
    out = StringIO()
    call_command("erase_account", "lovelace77", *arguments, stdout=out)
    return out.getvalue()


def export():
    out = StringIO()
    call_command("export_account", "lovelace77", stdout=out)
    return json.loads(out.getvalue())


# --- Export --------------------------------------------------------------------------------------


def test_exports_all_that_is_held(traces):
    text = json.dumps(export(), ensure_ascii=False)
    assert [value for value in VALUES if value not in text] == []


def test_exports_each_thing_where_it_belongs(traces, key):
    data = export()
    assert data["account"]["email"] == "ada@lovelace.example"
    assert data["plan"]["slug"] == "pro"
    assert data["api_keys"][0]["key_prefix"] == key.key_prefix
    assert data["failed_logins"][0]["ip_address"] == "192.0.2.1"
    first, second = data["tickets"]
    assert second["reply_address"] == "12 St James Square"
    assert [(row["author"], row["text"]) for row in first["messages"]] == [
        ("customer", "Adas answer"),
        ("support", "Dear her"),
    ]
    assert first["mail"]["email_status"] == "stored"
    assert first["tags"] == ["refund"]
    assert first["mails_that_came_in"][0]["subject"] == "Adas answer"
    assert [mail["text"] for mail in data["mails_without_ticket"]] == ["loose-mail"]


def test_exports_notes_and_not_who_wrote_them(traces):
    data = export()
    entries = {entry["kind"]: entry for entry in data["tickets"][0]["timeline"]}
    assert (entries["note"]["by"], entries["note"]["text"]) == ("support", "note-about-her")
    assert entries["message"]["by"] == "customer"
    assert "bea" not in json.dumps(data)


def test_exports_no_secret(traces, key):
    text = json.dumps(export())
    assert key.secret not in text
    assert key.digest not in text


def test_exports_nothing_of_others(traces):
    assert "Somebody else" not in json.dumps(export())


def test_exports_an_account_that_never_wrote(ada):
    assert export()["tickets"] == []


def test_knows_whom_it_exports():
    with pytest.raises(CommandError, match="no account 'nobody'") as refusal:
        call_command("export_account", "nobody")
    assert refusal.value.returncode == 2


def test_exports_in_bounded_memory_and_queries(ada, django_assert_max_num_queries):
    message = "x" * 20_000
    for _ in range(10):
        Ticket.objects.bulk_create(TicketFactory.build_batch(100, user=ada, message=message))

    class Counting(StringIO):
        written = 0

        def write(self, text):
            Counting.written += len(text)
            return len(text)

    tracemalloc.start()
    with django_assert_max_num_queries(70):
        call_command("export_account", "lovelace77", stdout=Counting())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Counting.written > 20_000_000
    assert peak < Counting.written / 2


# --- Erasure -------------------------------------------------------------------------------------


def test_leaves_nothing_in_a_dump(traces, key, desk):
    before = dump_tables()
    assert [value for value in VALUES if value not in before] == []
    erase()
    after = dump_tables()
    after += after.lower()
    assert [value for value in (*VALUES, key.digest, traces) if value in after] == []
    assert "nobody@work.example" in after
    assert not User.objects.filter(username__startswith="love").exists()


def test_leaves_what_others_wrote(traces):
    erase()
    assert Ticket.objects.get().message == "Somebody else's"
    note, revoked = TicketEvent.objects.order_by("pk")
    assert note.text == "As [erased] ([erased]) said; see nobody@work.example."
    assert (revoked.before, revoked.after) == ("ctxfy_abcdef…", "[erased]")
    assert SavedView.objects.get().query == "q=[erased]"
    assert CannedReply.objects.get().text == "Write to [erased]."
    assert LogEntry.objects.count() == 3


def test_keeps_the_numbers(traces, desk):
    before = desk.get(reverse("admin:index")).context["days"]
    erase()
    assert desk.get(reverse("admin:index")).context["days"] == before


def test_ends_keys_and_sessions_first(ada, key, client, monkeypatch):
    session = SessionStore()
    session["_auth_user_id"] = str(ada.pk)
    session.save()

    def break_off(*args, **kwargs):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(erasure, "erase", break_off)
    with pytest.raises(KeyboardInterrupt):
        erase()
    answer = client.get("/v1/account", HTTP_AUTHORIZATION=f"Bearer {key.secret}")
    assert answer.status_code == 401
    assert not SessionStore().exists(session.session_key)


def test_says_what_it_would_erase(traces):
    before = dump_tables()
    lines = erase("--dry-run").splitlines()
    assert dump_tables() == before
    for line in ("1 API keys", "2 tickets", "2 messages", "1 mails without a ticket", "1 accounts"):
        assert line in lines
    assert erase().splitlines()[-1] == "1 accounts"


def test_says_what_it_has_erased(traces):
    lines = erase().splitlines()
    for line in ("1 API keys", "2 tickets", "2 messages", "1 mails without a ticket", "1 accounts"):
        assert line in lines


def test_refuses_an_agent():
    make_staff("Agents", "lovelace77")
    with pytest.raises(CommandError, match="works in the back-office") as refusal:
        erase()
    assert refusal.value.returncode == 2


def test_keeps_the_history_of_a_former_agent(ada):
    other = TicketFactory()
    make_event(other.pk, ada, EventKind.NOTE, text="Looked into it").save()
    make_event(other.pk, None, EventKind.ASSIGNEE, "nobody", ada).save()
    erase()
    note, assigned = TicketEvent.objects.order_by("pk")
    assert note.actor.username == f"erased-{ada.pk}"
    assert assigned.after == "[erased]"
    assert "lovelace" not in dump_tables().lower()


def test_leaves_the_mail_of_an_address_that_others_use_too(ada):
    for user in (ada, UserFactory()):
        TicketFactory(user=user, reply_address="ops@example.com")
    InboundMail.objects.create(digest="1", sender="ops@example.com", outcome="unmatched")
    erase()
    assert InboundMail.objects.exists()
    assert Ticket.objects.get().reply_address == "ops@example.com"


def test_waits_for_a_mail_that_is_being_sent(ada, monkeypatch):
    monkeypatch.setattr(erasure, "LOOK_AGAIN_SECONDS", 0)
    ticket = TicketFactory(user=ada, leased_until=timezone.now() + timedelta(minutes=1))
    rests = []

    def rest(seconds):
        rests.append(seconds)
        Ticket.objects.filter(pk=ticket.pk).update(leased_until=None)

    monkeypatch.setattr(erasure.time, "sleep", rest)
    erase()
    assert len(rests) >= 1
    assert not Ticket.objects.exists()


def test_leaves_a_mail_that_is_being_sent_for_long(ada, monkeypatch):
    monkeypatch.setattr(erasure, "PATIENCE", timedelta(days=-1))
    TicketFactory(user=ada, leased_until=timezone.now() + timedelta(minutes=1))
    Message.objects.create(ticket=TicketFactory(user=ada), text="Failed", email_status="failed")
    with pytest.raises(CommandError, match=r"1 of their tickets .* Run this again") as left:
        erase()
    assert left.value.returncode == 1
    assert Ticket.objects.count() == 1
    assert not User.objects.get(pk=ada.pk).is_active


@pytest.mark.django_db(transaction=True)
def test_goes_on_where_it_was_killed(ada, process_env):
    key = APIKeyFactory(user=ada)
    tickets = [
        TicketFactory.build(user=ada, reply_address=f"ada{n}@work.example") for n in range(900)
    ]
    Ticket.objects.bulk_create(tickets)
    for number in (0, 450, 899):
        InboundMail.objects.create(
            digest=str(number), sender=f"ada{number}@work.example", outcome="unmatched"
        )
    with CommandProcess("erase_account", "lovelace77", env=process_env) as process:
        while Ticket.objects.count() == 900:
            assert process.status is None
        process.kill()
    assert 0 < Ticket.objects.count() < 900
    erase()
    dump = dump_tables()
    for value in ("lovelace", "work.example", key.digest):
        assert value not in dump


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a file of SQLite's")
@pytest.mark.django_db(transaction=True)
def test_leaves_nothing_in_sqlites_file(ada):
    TicketFactory(user=ada, message="Analytical Engine " * 50)
    erase()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA database_list")
        path = cursor.fetchone()[2]
    connection.close()
    files = [file for file in (Path(path), Path(f"{path}-wal")) if file.exists()]
    assert files
    assert not any(b"Analytical Engine" in file.read_bytes() for file in files)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ada@work.example", "[erased]"),
        ("Write to Ada@Work.Example.", "Write to [erased]."),
        ("<ada@work.example>,'x'", "<[erased]>,'x'"),
        ("q=ada%40work.example&tab=all", "q=[erased]&tab=all"),
        ("nada@work.example", "nada@work.example"),
        ("ada@work.example.org", "ada@work.example.org"),
        ("ada@work.examples", "ada@work.examples"),
        ("love77, love77's", "[erased], [erased]'s"),
        (
            "Love77 love778 a.love77 love77@work.example",
            "Love77 love778 a.love77 love77@work.example",
        ),
        ("Ada Lovelace, Ada", "[erased], Ada"),
    ],
)
def test_finds_a_person_in_what_others_wrote(text, left):
    traces = Traces(["love77", "Ada Lovelace"], {"ada@work.example"})
    assert traces.clear(text) == left


def test_looks_for_thousands_of_addresses(ada):
    """An account may name another address in each ticket."""
    rows = [TicketFactory.build(user=ada, reply_address=f"u{n}@work.example") for n in range(3_000)]
    Ticket.objects.bulk_create(rows)
    InboundMail.objects.create(digest="1", sender="u2999@work.example", outcome="unmatched")
    assert "1 mails without a ticket" in erase("--dry-run")

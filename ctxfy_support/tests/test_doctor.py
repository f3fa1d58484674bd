"""`manage.py doctor`: says what is wrong and what to do, whatever fails or hangs meanwhile."""

import json
import threading
from ipaddress import ip_network

import pytest
from django.core.checks import run_checks
from django.db import connection

from ctxfy_support import VERSION
from ctxfy_support.doctor.examination import examine
from ctxfy_support.doctor.findings import well
from ctxfy_support.doctor.surroundings import check_site
from ctxfy_support.start import START
from ctxfy_support.tests.loopback import HOST, free_port
from ctxfy_support.tests.processes import run_command
from ctxfy_support.tests.scripted_smtp_server import ScriptedSMTPServer


@pytest.fixture
def doctor(process_env):
    """`doctor("--send", NAME="value")`: (exit status, findings of a check, all that was printed)"""

    def doctor(*arguments, **env):
        run = run_command("doctor", "--json", *arguments, env=process_env | env)
        told = json.loads(run.stdout)
        assert told["version"] == VERSION
        assert told["well"] == (run.returncode == 0), run.stdout

        def find(check):
            rows = [row for row in told["findings"] if row["check"] == check]
            return [(row["outcome"], row["what"]) for row in rows]

        return run.returncode, find, run.stdout + run.stderr

    return doctor


@pytest.fixture
def durable(db):
    """The tests' own PostgreSQL syncs nothing, and that is all that is wrong with it."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        return cursor.fetchone()[0] == "on"


def test_says_that_all_is_well(doctor, durable):
    status, find, printed = doctor()
    assert status == (0 if durable else 1), printed
    assert find("settings") == [("well", "Nothing is wrong with the settings themselves")]
    assert [outcome for outcome, _ in find("site")] == ["notice"]
    assert ("well", "All migrations are applied") in find("database")
    bad = [what for outcome, what in find("database") if outcome == "wrong"]
    assert durable or [what.split(":")[0] for what in bad] == ["fsync is off"]
    assert [outcome for outcome, _ in find("clock")] == ["well"]


def test_says_in_plain_words_what_to_do(process_env, durable):
    run = run_command("doctor", env=process_env | {"ALLOWED_HOSTS": ""})
    assert run.returncode == 1
    first, second, *_, last = run.stdout.splitlines()
    assert first.startswith("WRONG  settings   ALLOWED_HOSTS is empty")
    assert second.strip().startswith("→ Set it to the host of SITE_URL")
    assert last == ("1 thing is wrong." if durable else "2 things are wrong.")


def test_goes_on_while_the_database_is_away(doctor):
    away = f"postgres://ada:hunter2hunter2@{HOST}:{free_port()}/desk"
    status, find, printed = doctor(DATABASE_URL=away)
    [(outcome, what)] = find("database")
    assert (status, outcome) == (1, "wrong")
    assert "does not answer" in what
    assert find("settings") == [("well", "Nothing is wrong with the settings themselves")]
    assert "hunter2" not in printed


def test_makes_no_database_file(doctor, tmp_path):
    path = tmp_path / "new.sqlite3"
    status, find, _ = doctor(DATABASE_URL=f"sqlite:///{path}")
    assert status == 1
    assert find("database") == [("wrong", "There is no database file yet")]
    assert not path.exists()


def test_says_what_is_not_migrated(doctor, tmp_path):
    path = tmp_path / "empty.sqlite3"
    path.touch(0o600)
    status, find, _ = doctor(DATABASE_URL=f"sqlite:///{path}")
    assert status == 1
    assert any("migrations are not applied: " in what for _, what in find("database"))


def test_says_what_is_wrong_with_the_settings_that_stop_the_start(doctor):
    status, find, _ = doctor(SECRET_KEY="", SECRET_KEY_FILE="/nowhere")
    assert status == 1
    assert find("settings") == [("wrong", "SECRET_KEY_FILE: the file does not exist")]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="It is PostgreSQL's setting.")
def test_says_that_a_request_may_wait_for_ever(doctor):
    status, find, _ = doctor(DATABASE_STATEMENT_TIMEOUT_MS="0")
    assert status == 1
    assert any("for ever" in what for _, what in find("database"))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="It is PostgreSQL's setting.")
def test_says_that_the_server_promises_too_little(process_env, doctor):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        name = connection.ops.quote_name(cursor.fetchone()[0])
        try:
            cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
            cursor.execute(
                f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
            )
            status, find, _ = doctor()
        finally:
            cursor.execute(f"ALTER DATABASE {name} RESET ALL")
    told = " ".join(what for outcome, what in find("database") if outcome == "wrong")
    assert status == 1
    assert "synchronous_commit" in told
    assert "serializable" in told


@pytest.mark.skipif(connection.vendor != "sqlite", reason="It is SQLite's file.")
def test_says_that_the_file_lies_elsewhere(monkeypatch, tmp_path):
    from ctxfy_support.doctor import sqlite

    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(sqlite, "MOUNTS", mounts)
    path = tmp_path / "db.sqlite3"
    path.touch(0o644)
    outcomes = [(finding.outcome, finding.what) for finding in sqlite.check_file(path)]
    assert [outcome for outcome, _ in outcomes] == ["wrong", "wrong"]
    assert "mode 644" in outcomes[0][1]
    assert "nfs4" in outcomes[1][1]


# --- One check stops no other --------------------------------------------------------------------


def find_well():
    yield well("fine")


def fail():
    yield well("so far")
    raise ValueError(f"with {'ctxfy_' + 'a1B2' * 9 + 'xy'}\nand more")


def hang():
    yield well("before")
    threading.Event().wait(60)


@pytest.mark.django_db(transaction=True)
def test_lets_no_check_stop_the_others(settings):
    settings.DOCTOR_SECONDS = 1
    here = "ctxfy_support.tests.test_doctor"
    checks = {name: f"{here}.{name}" for name in ("fail", "hang", "find_well")}
    checks["missing"] = "no.such.check"
    found = examine(checks)
    assert [(name, finding.outcome) for name, finding in found] == [
        ("fail", "well"),
        ("fail", "wrong"),
        ("hang", "well"),
        ("hang", "wrong"),
        ("find_well", "well"),
        ("missing", "wrong"),
    ]
    assert "a1B2" not in repr(found)
    assert "gave no answer within 1 seconds" in found[3][1].what


# --- What every start says too -------------------------------------------------------------------

GOOD = {
    "DEBUG": False,
    "ALLOWED_HOSTS": ["desk.example"],
    "SITE_URL": "https://desk.example",
    "TRUSTED_PROXIES": [ip_network("127.0.0.1/32")],
    "SECRET_KEY": "k" * 50,
}


def find_ids(settings, **changes):
    for name, value in {**GOOD, **changes}.items():
        setattr(settings, name, value)
    return [message.id for message in run_checks(tags=[START])]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"ALLOWED_HOSTS": []}, ["W001"]),
        ({"ALLOWED_HOSTS": ["other.example"]}, ["W002"]),
        ({"SITE_URL": "http://127.0.0.1:8000"}, []),
        ({"SITE_URL": "http://desk.example", "TRUSTED_PROXIES": []}, ["W003"]),
        ({"TRUSTED_PROXIES": [ip_network("::/0")]}, ["W004"]),
        ({"TRUSTED_PROXIES": []}, ["W005"]),
        ({"SECRET_KEY": "k" * 31}, ["W006"]),
        ({"DEBUG": True, "ALLOWED_HOSTS": [], "SECRET_KEY": "k"}, []),
    ],
)
def test_warns_at_every_start(settings, changes, found):
    assert find_ids(settings, **changes) == [f"ctxfy_support.{name}" for name in found]


# --- The way here through the proxy --------------------------------------------------------------


def look_at_site(settings, host, port):
    settings.SITE_URL = f"https://{host}:{port}"
    [finding] = check_site()
    return finding.outcome, finding.what


def test_says_that_the_certificate_is_not_trusted(settings):
    with ScriptedSMTPServer(security="tls") as server:
        # Another way to write 127.0.0.1, which nobody takes for this machine.
        outcome, what = look_at_site(settings, "127.1", server.port)
    assert (outcome, "no certificate that this machine trusts" in what) == ("wrong", True)


def test_says_that_the_site_is_out_of_reach(settings):
    outcome, what = look_at_site(settings, "127.1", free_port())
    assert (outcome, "cannot be reached from this machine" in what) == ("notice", True)

"""Who may read the SQLite file: it holds customers' messages and addresses."""

import os
import sqlite3
import stat

import pytest

from ctxfy_support.tests.processes import run_command

SIDE_FILES = ("", "-wal", "-shm")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "db.sqlite3"


@pytest.fixture(autouse=True)
def open_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def migrate(path):
    return run_command("migrate", "contenttypes", env={"DATABASE_URL": f"sqlite:///{path}"})


def hold_open(path):
    """A connection that keeps the file's -wal and -shm in place."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS held (id)")
    connection.commit()
    return connection


def test_is_created_for_its_owner_alone(path):
    assert migrate(path).returncode == 0
    connection = hold_open(path)
    assert [mode_of(path.with_name(path.name + end)) for end in SIDE_FILES] == [0o600] * 3
    connection.close()


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o664, 0o660), (0o600, 0o600)])
def test_is_taken_from_others_but_not_from_a_group_that_writes(path, before, after):
    connection = hold_open(path)
    files = [path.with_name(path.name + end) for end in SIDE_FILES]
    for file in files:
        file.chmod(before)
    done = migrate(path)
    assert (done.returncode, [mode_of(file) for file in files]) == (0, [after] * 3)
    assert connection.execute("SELECT name FROM django_migrations").fetchall()
    connection.close()


def test_is_used_where_it_is_somebody_elses(path):
    assert migrate(path).returncode == 0
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path.chmod(0o666)
    os.chown(path, 65_534, 65_534)
    assert migrate(path).returncode == 0


def test_says_what_is_wrong_where_there_is_no_folder(tmp_path):
    done = migrate(tmp_path / "missing" / "db.sqlite3")
    assert "unable to open database file" in done.stderr

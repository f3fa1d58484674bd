"""What is asked of an SQLite file alone."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from django.db import connection

from ctxfy_support.doctor.findings import Finding, well, wrong

HOW_TO_MEND = "Look whether DATABASE_URL names a file that this user may read and write."
_URI = "file:"
MOUNTS = Path("/proc/self/mounts")
# Their locks do not hold between hosts, and SQLite builds on them.
REMOTE = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "lustre")


def get_path() -> Path:
    """The file, whichever way NAME says it (never_create)."""
    name = str(connection.settings_dict["NAME"])
    if name.startswith(_URI):
        name = unquote(name.removeprefix(_URI).partition("?")[0])
    return Path(name)


def never_create() -> None:
    """Let no check make the file that it looks for."""
    path = get_path()
    if connection.vendor == "sqlite" and not path.exists():
        connection.settings_dict["NAME"] = f"{_URI}{quote(str(path))}?mode=rw"


def find_reason_not_to_open() -> Finding | None:
    """There is no file yet: to open it would make one."""
    if get_path().exists():
        return None
    return wrong("There is no database file yet", "Run manage.py migrate, as the service's user.")


def describe() -> str:
    return f"SQLite {sqlite3.sqlite_version}"


def check() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = str(cursor.fetchone()[0])
    if mode == "wal":
        yield well("Its journal is a WAL: who reads waits for nobody who writes")
    else:
        yield wrong(
            f"Its journal is {mode}, not WAL: requests will find it locked",
            "Put the file where its directory may be written to and memory may be mapped.",
        )
    yield from check_file(get_path())


def check_file(path: Path) -> Iterator[Finding]:
    """Its owner's alone, writable, on this machine."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IRWXO:
        yield wrong(
            f"Every user of this machine may open it (mode {mode:o})", f"chmod o= {path.name}"
        )
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        yield wrong(
            "This user may not write the file and its directory, where SQLite keeps its journal",
            "Give both to the user that the service runs as, and run this as that user.",
        )
    kind = find_file_system(path)
    if kind.startswith(REMOTE):
        yield wrong(
            f"It lies on a network file system ({kind}), where its locks do not hold",
            "Move it to a local disk, or use PostgreSQL.",
        )
    if not mode & stat.S_IRWXO and not kind.startswith(REMOTE):
        yield well(f"The file is kept from other users (mode {mode:o})")


def find_file_system(path: Path) -> str:
    """The type of the file system that the path lies on; empty where this machine does not say."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    found, longest = "", -1
    for line in lines:
        _, place, kind, *_ = line.split()
        if path.resolve().is_relative_to(place) and len(place) >= longest:
            found, longest = kind, len(place)
    return found

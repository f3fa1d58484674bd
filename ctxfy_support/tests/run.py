"""`make test`: lint, types and migrations, every test on SQLite and every test on PostgreSQL.

All three run at once, each test process with a database of its own; what they print comes one
after the other. A failure leaves out nothing that comes after it. The last line says what ran
where; the exit status is 0 only if all of it passed. `make lint` gives the argument `lint`: no
tests then.
"""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import PROJECT_DIRECTORY, make_environment

CHECKS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy", "."],
    "makemigrations": ["manage.py", "makemigrations", "--check", "--dry-run"],
}
# Processes for each of the two databases: twice the cores together, since tests also wait, for the
# services, browsers and mail servers that they start.
WORKERS = max(2, os.cpu_count() or 1)


class Job(threading.Thread):
    """Commands run one after the other in the background: `work(run)` gives the job's result.

    What they print waits in `output`, in chunks of bytes, for its turn on the terminal.
    """

    def __init__(self, work):
        super().__init__(daemon=True)
        self.output = queue.SimpleQueue()
        self._work = work
        self._process = None
        self._is_over = False
        self.start()

    def run(self):
        try:
            self.passed, self.words = self._work(self._run)
        finally:
            self.output.put(b"")

    def _run(self, arguments, env):
        """Return the exit status of `python` with these arguments."""
        self.output.put(f"\n$ python {' '.join(arguments)}\n".encode())
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT_DIRECTORY,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if self._is_over:
            self._process.terminate()
        with self._process.stdout as stdout:
            for chunk in iter(partial(stdout.read1, 65_536), b""):
                self.output.put(chunk)
        return self._process.wait()

    def show(self):
        """Print what the commands have printed and still print, until the last has ended."""
        for chunk in iter(self.output.get, b""):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        self.join()

    def stop(self):
        """End them, letting each clean up."""
        self._is_over = True
        if self._process is not None:
            self._process.terminate()
        self.join()


def run_checks(run):
    """Return whether all passed, and the words for the last line."""
    env = make_environment({"DATABASE_URL": "sqlite://:memory:"})
    failed = [name for name, arguments in CHECKS.items() if run(arguments, env) != 0]
    if failed:
        return False, f"{', '.join(failed)}: failed"
    return True, f"{', '.join(CHECKS)}: ok"


def run_tests(run, database="SQLite", url="sqlite:///db.sqlite3"):
    """Return whether the tests passed on this database, and the words for the last line."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        workers = ["--numprocesses", str(WORKERS)]
        status = run(
            ["-m", "pytest", *workers, f"--junitxml={report}"],
            os.environ | {"DATABASE_URL": url, "PYTHONUNBUFFERED": "1"},
        )
        if not report.exists():
            return False, f"{database}: no tests ran"
        suite = ElementTree.parse(report).getroot().find("testsuite")
    names = ("tests", "failures", "errors", "skipped")
    total, failed, errors, skipped = (int(suite.get(name)) for name in names)
    passed = total - failed - errors - skipped
    counts = {"passed": passed, "failed": failed, "errors": errors, "skipped": skipped}
    words = ", ".join(f"{n} {name}" for name, n in counts.items() if n or name == "passed")
    return status == 0 and passed > 0, f"{database}: {words}"


def run_tests_on_postgres(run):
    try:
        with PostgresServer(fsync="off") as server:
            return run_tests(run, f"PostgreSQL {server.version}", server.url)
    except RuntimeError as error:
        return False, f"PostgreSQL: no server, no tests ran ({error})"


def main(arguments):
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    jobs = [Job(run_checks)]
    if "lint" not in arguments:
        jobs += [Job(run_tests), Job(run_tests_on_postgres)]
    try:
        for job in jobs:
            job.show()
    except KeyboardInterrupt:
        for job in jobs:
            job.stop()
        raise
    print("\n" + "; ".join(job.words for job in jobs))
    return 0 if all(job.passed for job in jobs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

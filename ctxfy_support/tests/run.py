"""`make test`: lint, types and migrations, then every test on SQLite and again on PostgreSQL.

A failure leaves out nothing that comes after it. The last line says what ran where; the exit
status is 0 only if all of it passed. `make lint` gives the argument `lint`: no tests then.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from ctxfy_support.tests.postgres import PostgresServer
from ctxfy_support.tests.processes import PROJECT_DIRECTORY, make_environment, run_in_foreground

CHECKS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy", "."],
    "makemigrations": ["manage.py", "makemigrations", "--check", "--dry-run"],
}


def run(arguments, env):
    print(f"\n$ python {' '.join(arguments)}", flush=True)
    return run_in_foreground([sys.executable, *arguments], cwd=PROJECT_DIRECTORY, env=env)


def run_checks():
    """Return whether all passed, and the words for the last line."""
    env = make_environment({"DATABASE_URL": "sqlite://:memory:"})
    failed = [name for name, arguments in CHECKS.items() if run(arguments, env) != 0]
    if failed:
        return False, f"{', '.join(failed)}: failed"
    return True, f"{', '.join(CHECKS)}: ok"


def run_tests(database, url):
    """Return whether the tests passed on this database, and the words for the last line."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        status = run(["-m", "pytest", f"--junitxml={report}"], {**os.environ, "DATABASE_URL": url})
        if not report.exists():
            return False, f"{database}: no tests ran"
        suite = ElementTree.parse(report).getroot().find("testsuite")
    names = ("tests", "failures", "errors", "skipped")
    total, failed, errors, skipped = (int(suite.get(name)) for name in names)
    passed = total - failed - errors - skipped
    counts = {"passed": passed, "failed": failed, "errors": errors, "skipped": skipped}
    words = ", ".join(f"{n} {name}" for name, n in counts.items() if n or name == "passed")
    return status == 0 and passed > 0, f"{database}: {words}"


def run_tests_on_postgres():
    try:
        with PostgresServer(fsync="off") as server:
            return run_tests(f"PostgreSQL {server.version}", server.url)
    except RuntimeError as error:
        print(error)
        return False, "PostgreSQL: no server, no tests ran"


def main(arguments):
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = [run_checks()]
    if "lint" not in arguments:
        results += [run_tests("SQLite", "sqlite:///db.sqlite3"), run_tests_on_postgres()]
    print("\n" + "; ".join(words for _, words in results))
    return 0 if all(passed for passed, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

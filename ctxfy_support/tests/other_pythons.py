"""`make test-all`, after `make test`: the other Pythons from 3.11 on that this machine has.

Each gets a folder of its own (.venv-3.13) with what the lock file says, and in a bounded time the
checks, every import and the tests of the API, the accounts and the outbox, on SQLite.
"""

import os
import shutil
import subprocess
import sys

from ctxfy_support.tests.processes import PROJECT_DIRECTORY, make_environment

OLDEST, NEWEST = 11, 20
INSTALL_SECONDS = 600
TEST_SECONDS = 180
TESTS = ("accounts/tests", "support/tests/api", "support/tests/test_outbox.py")
COMMANDS = (
    ["-W", "error", "-m", "compileall", "-q", "accounts", "ctxfy_support", "support"],
    ["manage.py", "check"],
    ["manage.py", "makemigrations", "--check", "--dry-run"],
    ["-m", "pytest", "-q", "-n", "2", *TESTS],
)


def find_interpreters():
    """Names such as python3.13 of those that run, without the one that runs this."""
    names = [f"python3.{minor}" for minor in range(OLDEST, NEWEST)]
    return [name for name in names if find_version(name) not in {None, sys.version_info[:2]}]


def find_version(name):
    """(3, 13); None where the name leads to nothing that runs (a shim may)."""
    if shutil.which(name) is None:
        return None
    program = "import sys; print(*sys.version_info[:2])"
    result = subprocess.run([name, "-c", program], capture_output=True, text=True, check=False)
    return tuple(map(int, result.stdout.split())) if result.returncode == 0 else None


def run(command, seconds):
    """Return whether it succeeded in time; what it prints goes to our own terminal."""
    print(f"\n$ {' '.join(command)}", flush=True)
    try:
        result = subprocess.run(
            command,
            cwd=PROJECT_DIRECTORY,
            env=make_environment({"DATABASE_URL": "sqlite:///db.sqlite3"}),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"not done after {seconds} s")
        return False
    return result.returncode == 0


def try_interpreter(name):
    """Return the word for the last line."""
    folder = f".venv-{name.removeprefix('python')}"
    make = os.environ.get("MAKE", "make")
    if not run([make, f"PYTHON={name}", f"{folder}/.installed-dev"], INSTALL_SECONDS):
        return "not installed"
    python = f"{folder}/bin/python"
    passed = all(run([python, *command], TEST_SECONDS) for command in COMMANDS)
    return "ok" if passed else "failed"


def main():
    words = {name: try_interpreter(name) for name in find_interpreters()}
    said = "; ".join(f"{name}: {word}" for name, word in words.items())
    print(f"\n{said or 'no other Python from 3.11 on'}")
    return 0 if set(words.values()) <= {"ok"} else 1


if __name__ == "__main__":
    sys.exit(main())

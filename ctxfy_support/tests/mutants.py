"""`make mutants`: change one thing in the code at a time and see whether some test notices.

mutmut makes the changes ("mutants") in a copy of the tree and runs for each, in a fork, the tests
that come by the changed function. pyproject.toml names the modules and the tests. A survivor must
stand in mutants.toml with the reason why it does not matter. The exit status is 1 below a score of
90 %, for a survivor without a reason, for a reason whose line is gone, and where a control (a
function unchanged) fails its tests: then what looks killed may only have been disturbed.

    python -m ctxfy_support.tests.mutants [--share PERCENT] [MODULE.py ...]
"""

import argparse
import configparser
import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
import tomllib
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ctxfy_support.tests.processes import PROJECT_DIRECTORY, run_in_foreground

REASONS = Path(__file__).with_name("mutants.toml")
LEAST_SCORE = 90.0
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.sqlite3*", "staticfiles", "mutants")
# mutmut counts a function's mutants from 1: number 0 changes nothing, and its tests must pass.
CONTROL = "__mutmut_0"
CONTROLS = 4  # of each module
# A mutant that runs for ever is noticed, too.
KILLED = ("killed", "timeout", "segfault")


class Change(NamedTuple):
    """What a mutant does, told without a line number, so that it is known again later."""

    where: str  # path and function
    was: str
    now: str

    @property
    def path(self):
        return Path(self.where.split(" ")[0])

    @property
    def line(self):
        """The line that was changed; the function's first where several are the same."""
        lines = self.path.read_text().splitlines()
        name = self.where.rpartition(" ")[2].rpartition(".")[2]
        start = next(n for n, line in enumerate(lines) if f"def {name}(" in line)
        found = [n for n in range(start, len(lines)) if is_start(lines[n].strip(), self.was)]
        return (found or [start])[0] + 1


def is_start(line, text):
    return bool(line) and text.startswith(line)


class Result(NamedTuple):
    path: str
    name: str
    outcome: str  # killed, survived, timeout, no tests …
    change: Change | None  # of one that lives
    diff: list[str]


def function_of(name):
    return name.rpartition("__mutmut_")[0]


def is_in_share(name, percent):
    """Whether a mutant is in the sample: always the same, whatever is added elsewhere."""
    return zlib.crc32(name.encode()) % 100 < percent


def choose_controls(names):
    """Some of the functions that have mutants, evenly spread, as mutants without a change."""
    functions = sorted({function_of(name) for name in names})
    return [function + CONTROL for function in functions[:: len(functions) // CONTROLS + 1]]


def configure(paths, tests):
    """Write mutmut's settings into the copy and forget what it knew of others."""
    from mutmut.configuration import reset_config

    lists = {
        "source_paths": ["accounts", "ctxfy_support", "support"],
        "only_mutate": paths,
        "also_copy": ["conftest.py", "pytest.ini", "manage.py", "templates"],
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": ["-p", "ctxfy_support.tests.mutants_plugin", "--timeout=30"],
    }
    config = configparser.ConfigParser(interpolation=None)
    config["mutmut"] = {name: "\n".join(["", *values]) for name, values in lists.items()}
    # Of the time that its tests took: what counts as running for ever.
    config["mutmut"].update({"timeout_constant": "10", "timeout_multiplier": "4"})
    with Path("setup.cfg").open("w") as file:
        config.write(file)
    shutil.rmtree("mutants", ignore_errors=True)
    reset_config()


def generate(paths, percent):
    """Write the mutants of these modules; return the names of those to run, controls included."""
    from mutmut import __main__ as mutmut
    from mutmut.mutation.data import SourceFileMutationData

    with contextlib.redirect_stdout(io.StringIO()):
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.create_mutants(os.cpu_count())
    chosen = []
    for path in paths:
        file = SourceFileMutationData(path=path)
        file.load()
        names = [name for name in file.exit_code_by_key if is_in_share(name, percent)]
        controls = choose_controls(names)
        file.exit_code_by_key |= dict.fromkeys(controls)
        file.save()
        chosen += names + controls
    return chosen


def run_mutmut(names):
    """Run these mutants, and have mutmut write down what became of them; False if it cannot."""
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    with tempfile.TemporaryDirectory() as directory:
        env = {**os.environ, "MUTANTS_DIRECTORY": directory}
        with (Path(directory) / "log").open("w+") as log:
            # Its line of progress is for a terminal.
            stdout = None if sys.stdout.isatty() else log
            status = run_in_foreground([mutmut, "run", *names], env=env, stdout=stdout)
            if status != 0:
                log.seek(0)
                print(log.read()[-5_000:])
    return status == 0


def run_group(paths, tests, percent):
    """Run the mutants of these modules; return the Results, None where the tests fail as it is."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code

    configure(paths, tests)
    chosen = set(generate(paths, percent))
    if not run_mutmut(sorted(chosen)):
        return None
    results = []
    for path in paths:
        file = SourceFileMutationData(path=path)
        file.load()
        for name, code in file.exit_code_by_key.items():
            if name in chosen:
                outcome = status_by_exit_code[code]
                lived = outcome not in KILLED and not name.endswith(CONTROL)
                change, diff = describe(path, name) if lived else (None, [])
                results.append(Result(path, name, outcome, change, diff))
    return results


def describe(path, name):
    """The Change of a mutant, and the lines of its diff."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    diff = get_diff_for_mutant(name, path=path).splitlines()[3:]
    diff = [line for line in diff if line.startswith(("-", "+"))]
    was, now = (plain(line[1:] for line in diff if line[0] == sign) for sign in "-+")
    function = function_of(name).rpartition(".")[2].removeprefix("x_").strip("xǁ").replace("ǁ", ".")
    return Change(f"{path} {function}", was, now), diff


def plain(lines):
    return " ".join(" ".join(lines).split())


def read_reasons():
    """{Change: reason}; a row's `now` is one change or several of the same line."""
    reasons = {}
    for row in tomllib.loads(REASONS.read_text())["survivor"]:
        several = row["now"] if isinstance(row["now"], list) else [row["now"]]
        for now in several:
            reasons[Change(row["where"], row["was"], now)] = row["reason"]
    return reasons


def is_stale(change):
    """Whether the code does not say any more what a reason is about."""
    source = plain(change.path.read_text().split()) if change.path.exists() else ""
    return change.was not in source


def report(results):
    """Print what became of the mutants; return whether all is well."""
    controls = [result for result in results if result.name.endswith(CONTROL)]
    mutants = [result for result in results if result not in controls]
    print(f"\n{'module':36} mutants  killed  survived  timed out    score")
    for path in dict.fromkeys(result.path for result in mutants):
        print(table_row(path, Counter(each.outcome for each in mutants if each.path == path)))
    reasons = read_reasons()
    survivors = [result for result in mutants if result.change]
    for result in survivors:
        function = result.change.where.rpartition(" ")[2]
        print(f"\n{result.path}:{result.change.line} ({function}) {result.outcome}")
        print("\n".join(f"    {line}" for line in result.diff))
        print(f"    {reasons.get(result.change, 'NO REASON')}")
    unexplained = sum(result.change not in reasons for result in survivors)
    # A function that none of these tests comes by has no tests to disturb.
    disturbed = [each.name for each in controls if each.outcome not in {"survived", "no tests"}]
    stale = {change.where: change.was for change in reasons if is_stale(change)}
    total = Counter(result.outcome for result in mutants)
    print(f"\n{table_row('all', total)}")
    print(f"controls that failed: {len(disturbed)} of {len(controls)} {' '.join(disturbed)}")
    print(f"survivors without a reason: {unexplained}; reasons without a line: {stale or 0}")
    return not disturbed and not stale and not unexplained and score(total) >= LEAST_SCORE


def score(count):
    return 100 * sum(count[outcome] for outcome in KILLED) / max(1, count.total())


def table_row(name, count):
    killed, timed_out = count["killed"] + count["segfault"], count["timeout"]
    survived = count.total() - killed - timed_out
    numbers = f"{count.total():7} {killed:7} {survived:9} {timed_out:10}"
    return f"{name:36} {numbers} {score(count):6.1f} %"


def main(arguments):
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--share", type=int, default=100, metavar="PERCENT")
    parser.add_argument("modules", nargs="*", metavar="MODULE.py")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "tree"
        shutil.copytree(PROJECT_DIRECTORY, tree, ignore=NOT_COPIED)
        os.chdir(tree)  # mutmut works where it stands.
        results, not_run = [], []
        for group in tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutants"]:
            paths = [path for path in group["modules"] if path in (options.modules or [path])]
            if paths:
                of_group = run_group(paths, group["tests"], options.share)
                results += of_group or []
                not_run += paths if of_group is None else []
        good = report(results) and not not_run
        os.chdir(PROJECT_DIRECTORY)
    sample = "all of them" if options.share == 100 else f"a fixed sample of {options.share} %"
    print(f"{sample}, in {(time.monotonic() - started) / 60:.0f} minutes")
    if not_run:
        print(f"NOT RUN, for tests fail without a change: {', '.join(not_run)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

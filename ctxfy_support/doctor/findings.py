"""What a check has found. Nothing here needs settings: they may be what is wrong."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from ctxfy_support import VERSION


class Outcome(StrEnum):
    """Only what is wrong makes the exit status 1; a notice is worth knowing."""

    WELL = "well"
    NOTICE = "notice"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """`what` is the case, and what to `do` about it."""

    outcome: Outcome
    what: str
    do: str = ""


def well(what: str) -> Finding:
    return Finding(Outcome.WELL, what)


def notice(what: str, do: str = "") -> Finding:
    return Finding(Outcome.NOTICE, what, do)


def wrong(what: str, do: str) -> Finding:
    return Finding(Outcome.WRONG, what, do)


# Rows (name of the check, what it found).
Findings = Sequence[tuple[str, Finding]]

_MARKS = {Outcome.WELL: "ok", Outcome.NOTICE: "note", Outcome.WRONG: "WRONG"}


def count_wrong(findings: Findings) -> int:
    return sum(finding.outcome is Outcome.WRONG for _, finding in findings)


def write_text(findings: Findings) -> str:
    """A line for each finding, what to do below it, and a last line that sums up."""
    lines = []
    for name, finding in findings:
        lines.append(f"{_MARKS[finding.outcome]:6} {name:10} {finding.what}")
        if finding.do:
            lines.append(f"{'':17} → {finding.do}")
    bad = count_wrong(findings)
    things = "1 thing is" if bad == 1 else f"{bad} things are"
    return "\n".join([*lines, f"{things} wrong." if bad else "All is well."])


def write_json(findings: Findings) -> str:
    return json.dumps(
        {
            "version": VERSION,
            "well": not count_wrong(findings),
            "findings": [{"check": name, **asdict(finding)} for name, finding in findings],
        },
        indent=2,
    )

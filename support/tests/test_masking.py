"""Secrets in a text: which are found, what is left alone, and what it costs."""

import ast
import random
import re
import sysconfig
import time
import traceback
from pathlib import Path

import pytest

from ctxfy_support.tests.processes import PROJECT_DIRECTORY
from support.masking import Masking, find_placeholders
from support.secret_formats import FORMATS
from support.tests.secret_corpus import read_no_secrets, read_secrets

SECRETS = list(read_secrets())
NO_SECRETS = list(read_no_secrets())


def mask(text):
    masking = Masking()
    return masking.mask(text), masking.count


@pytest.mark.parametrize(("text", "becomes", "count"), SECRETS, ids=range(len(SECRETS)))
def test_masks(text, becomes, count):
    masked, found = mask(text)
    assert re.fullmatch(becomes, masked), masked
    assert found == count


@pytest.mark.parametrize("text", NO_SECRETS, ids=range(len(NO_SECRETS)))
def test_leaves_alone(text):
    assert mask(text) == (text, 0)


@pytest.mark.parametrize("seed", range(20))
def test_finds_them_whatever_their_random_characters(seed):
    for text, becomes, _ in read_secrets(seed):
        masked, _ = mask(text)
        assert re.fullmatch(becomes, masked), (text, masked)


def test_has_an_example_of_every_format():
    found = "\n".join(mask(text)[0] for text, _, _ in SECRETS)
    assert {row.kind for row in FORMATS if f"{row.kind}" not in found} == set()
    assert all(row.source for row in FORMATS)


def test_masks_what_is_masked_no_further():
    rng = random.Random(7)
    texts = [text for text, _, _ in SECRETS] + NO_SECRETS
    for _ in range(300):
        pieces = rng.choices(texts, k=3)
        glued = rng.choice(["", " ", "\n", "@", ":", "-", "=", "//"]).join(pieces)
        once, _ = mask(glued[rng.randrange(20) :])
        assert mask(once) == (once, 0)


# --- At most one in 10,000 words of ordinary text ------------------------------------------------


def read_code_and_docs():
    """Python's own modules, and what they say of themselves."""
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.glob("*.py")) + sorted(library.glob("email/*.py")):
        yield path.read_text(errors="replace")


def read_prose():
    for path in [*PROJECT_DIRECTORY.glob("*.md"), *PROJECT_DIRECTORY.glob("docs/*.md")]:
        yield path.read_text()
    for path in PROJECT_DIRECTORY.glob("support/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield ast.get_docstring(node) or ""


def read_stack_traces():
    for number in range(200):
        try:
            int("x" * number, 10 + number % 20)
            ast.parse("(" * number)
        except Exception:
            yield traceback.format_exc() + repr(object())


@pytest.mark.parametrize("read", [read_code_and_docs, read_prose, read_stack_traces])
def test_takes_almost_no_ordinary_text_for_a_secret(read):
    words = wrong = 0
    for text in read():
        words += len(text.split())
        for start in range(0, len(text), 20_000):
            wrong += mask(text[start : start + 20_000])[1]
    assert words > 5_000
    assert wrong * 10_000 <= words, (wrong, words)


# --- What it costs -------------------------------------------------------------------------------

HOSTILE = [
    *(row.hints[0] for row in FORMATS),
    *(f"{hint}{char}" for row in FORMATS for hint in row.hints[:1] for char in "aA0-_=/ \\"),
    *("a", "0", "-", " ", "\n", "\\n", "%20", "=", ".", ":", "@", "://", "://a:", "://:a@"),
    *("4111 ", "4111-", "4111111111111112 ", "eyJ", "eyJa-", "eyJaaaaaaaaaa.", "eyJ.eyJ."),
    *("bearer ", "bearer+", "Bearer a", "authorization: ", "authorization: bearer ", "basic a "),
    *("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----a", "-----BEGIN ", "PRIVATE KEY"),
    *("Private-Lines: 1\n", "secret_access_key=", "/ABSK", "ctxfy_", "ctxfy_a"),
]


def measure(text):
    """Nanoseconds of the processor that masking takes."""
    start = time.process_time_ns()
    mask(text)
    return time.process_time_ns() - start


def grows_too_fast(piece, size=10_000):
    """Whether ten times the characters cost more than forty times as much; a square: a hundred."""
    short, long = ((piece * length)[:length] for length in (size, 10 * size))
    return all(measure(long) > 40 * max(measure(short), 1_000_000) for _ in range(3))


def test_costs_in_proportion_to_the_text():
    assert [piece for piece in HOSTILE if grows_too_fast(piece)] == []


def test_sees_a_cost_that_grows_as_the_square(monkeypatch):
    slow = FORMATS[0]._replace(hints=("a",), pattern=re.compile("a+b"))
    monkeypatch.setattr("support.masking._HINTS", [("a", slow)])
    monkeypatch.setattr("support.masking.FORMATS", [slow])
    assert grows_too_fast("a", size=1_000)


def test_finds_again_what_it_has_left():
    for text, _, count in SECRETS:
        masked, _ = mask(text)
        assert 1 <= len(find_placeholders(masked)) <= count, masked
    assert find_placeholders("[the file removed], [GitHub token], removed") == []

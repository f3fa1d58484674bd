"""Imports point one way; whatever is named counts: `TYPE_CHECKING` blocks and dotted paths too.

The three packages do not know each other, but for the project's urls.py and settings.py, which put
them together. Within support/, the tables and their rules stand at the root and know no wing; the
wings know the root, and of each other only `delivery`; the back-office also knows `inbox`.
"""

import ast
import re

import pytest

from ctxfy_support.tests.processes import PROJECT_DIRECTORY

PACKAGES = ("accounts", "ctxfy_support", "support")
WINGS = ("support.api", "support.back_office", "support.delivery", "support.inbox")
# Part of the code -> what it may not name.
FORBIDDEN = {
    "accounts": ["support"],
    "ctxfy_support": ["accounts", "support"],
    "support": ["accounts"],
    "support (root)": list(WINGS),
    "support.delivery": ["support.api", "support.back_office", "support.inbox"],
    "support.inbox": ["support.api", "support.back_office"],
    "support.api": ["support.back_office", "support.inbox"],
    "support.back_office": ["support.api"],
}
# They put the others together.
COMPOSERS = {"ctxfy_support.settings", "ctxfy_support.urls", "support.admin"}
DOTTED_PATH = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")


def modules():
    """Rows (dotted name, path) of the application's modules, tests and migrations left out."""
    for package in PACKAGES:
        for path in sorted((PROJECT_DIRECTORY / package).rglob("*.py")):
            parts = path.relative_to(PROJECT_DIRECTORY).with_suffix("").parts
            if "tests" not in parts and "migrations" not in parts:
                yield ".".join(parts).removesuffix(".__init__"), path


def part_of(name):
    """The part of the code that a module belongs to; None for those that may name anything."""
    if name in COMPOSERS or name.startswith("support.management"):
        return None
    wing = next((wing for wing in WINGS if f"{name}.".startswith(f"{wing}.")), None)
    if wing or not name.startswith("support"):
        return wing or name.split(".")[0]
    return "support (root)"


def named_modules(source):
    """Every module of ours that a source text names, in imports and in strings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            # `from support import x` may name a module, too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and is_dotted_path(node.value):
            yield node.value


def is_dotted_path(value):
    """Whether a string names something in a module of ours; `accounts.view_user` does not."""
    if not isinstance(value, str) or not DOTTED_PATH.fullmatch(value):
        return False
    path = PROJECT_DIRECTORY.joinpath(*value.split(".")[:2])
    return path.is_dir() or path.with_suffix(".py").is_file()


def find_forbidden(name, source):
    part = part_of(name)
    if part is None:
        return []
    package = name.split(".")[0]
    forbidden = {*FORBIDDEN[part], *FORBIDDEN[package]}
    return [
        named
        for named in named_modules(source)
        if any(f"{named}.".startswith(f"{target}.") for target in forbidden)
    ]


def test_points_one_way():
    found = {name: find_forbidden(name, path.read_text()) for name, path in modules()}
    assert len(found) > 80
    assert {name: targets for name, targets in found.items() if targets} == {}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("accounts.views", "import support"),
        ("accounts.views", "from support.models import Ticket"),
        ("ctxfy_support.health", "from accounts import models"),
        ("ctxfy_support.health", "CHECK = 'support.delivery.monitoring.check_mail'"),
        ("support.triage", "from accounts.models import User"),
        ("support.models", "from support.delivery.composing import compose"),
        ("support.models", "from support import delivery"),
        ("support.models", "if TYPE_CHECKING:\n    from support.api.views import TicketViewSet"),
        ("support.answering", "def f():\n    import support.back_office.acts"),
        ("support.delivery.attempts", "from support.api import views"),
        ("support.delivery.attempts", "from support.back_office.queue import Queue"),
        ("support.delivery.attempts", "from support.inbox import receiving"),
        ("support.inbox.receiving", "from support.api import views"),
        ("support.api.views", "from support.back_office.queue import Queue"),
        ("support.api.views", "from support.inbox.receiving import receive_raw"),
        ("support.delivery.attempts", "from support.inbox.receiving import receive_raw"),
        ("support.inbox.receiving", "from support.back_office.agents import get_agent"),
        ("support.inbox.receiving", "from support.api.idempotency import digest_content"),
        ("support.models", "from support.inbox import parsing"),
        ("support.back_office.acts", "HOOK = 'support.api.idempotency.KeyReused'"),
    ],
)
def test_sees_an_arrow_that_is_turned(name, source):
    assert find_forbidden(name, source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("support.admin", "from support.back_office.tickets import TicketAdmin"),
        ("support.api.views", "from support.delivery import attempts"),
        ("support.inbox.receiving", "from support.delivery.composing import MESSAGE_ID_DOMAIN"),
        ("support.delivery.attempts", "from support.models import Ticket"),
        ("ctxfy_support.settings", "CHECK = 'support.delivery.monitoring.check_mail'"),
        ("support.models", "AGENTS = ['accounts.view_user']"),
    ],
)
def test_lets_the_others_pass(name, source):
    assert not find_forbidden(name, source)


def find_circles(source):
    """Modules of ours that a source text can import for the type checker alone."""
    blocks = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    ]
    return [
        named
        for block in blocks
        for named in named_modules(ast.unparse(block))
        if named.split(".")[0] in PACKAGES
    ]


def test_goes_in_no_circle():
    found = {name: find_circles(path.read_text()) for name, path in modules()}
    assert {name: targets for name, targets in found.items() if targets} == {}


@pytest.mark.parametrize("condition", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_sees_a_circle(condition):
    assert find_circles(f"if {condition}:\n    from ctxfy_support.serving.config import Config")
    assert not find_circles(f"if {condition}:\n    from _typeshed.wsgi import WSGIEnvironment")
    assert not find_circles("if DEBUG:\n    from ctxfy_support.serving.config import Config")


# Words for what only an app can know.
FACTS = re.compile(r"ticket|reply_address|sendgrid|smtp|ctxfy_(?!support)", re.IGNORECASE)
# The demonstration shows the apps, the others put them together.
TOLD = {
    "ctxfy_support.settings",
    "ctxfy_support.urls",
    "ctxfy_support.management.commands.serve_demo",
}


def strings(source):
    """A source text's strings, docstrings left out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_project_holds_no_fact_of_an_app():
    found = {
        name: [text for text in strings(path.read_text()) if FACTS.search(text)]
        for name, path in modules()
        if name.startswith("ctxfy_support") and name not in TOLD
    }
    assert {name: texts for name, texts in found.items() if texts} == {}

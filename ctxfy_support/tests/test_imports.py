"""Imports point one way: support and accounts do not know each other, the project neither."""

import ast

import pytest

from ctxfy_support.tests.processes import PROJECT_DIRECTORY

FORBIDDEN = {
    "accounts": {"support"},
    "support": {"accounts"},
    "ctxfy_support": {"accounts", "support"},
}


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_points_one_way(package):
    paths = [
        path
        for path in (PROJECT_DIRECTORY / package).rglob("*.py")
        if "tests" not in path.parts and path.name != "urls.py"
    ]
    assert paths
    for path in paths:
        assert not FORBIDDEN[package] & set(imported_packages(path)), path

"""Tests stand where their module stands.

auditor/ROOM/MODULE.py   tests/unit/ROOM/test_MODULE.py, or tests/kernel/ROOM/test_MODULE.py where it takes real BPF
auditor/ROOM/__init__.py tests/unit/test_ROOM.py
many modules at once     tests/kernel/test_SCENARIO.py, tests/contract/, tests/replay/
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MIRRORS = ("unit", "kernel")

EXCEPTIONS: dict[str, str] = {}
"""Modules without a test module of their own, each with the reason: {"room/module.py": "tried by ..."}."""


def has_behaviour(module: Path) -> bool:
    """Tell whether a module has anything to test: a function or method that does more than keep its arguments."""
    functions = (node for node in ast.walk(ast.parse(module.read_bytes())) if isinstance(node, ast.FunctionDef))
    return any(not (function.name == "__init__" and keeps_only(function)) for function in functions)


def keeps_only(function: ast.FunctionDef) -> bool:
    """Tell whether a function's body is documentation and `self.name = something without a call`."""
    plain = (ast.Expr, ast.Assign, ast.AnnAssign)
    return all(
        isinstance(line, plain) and not any(isinstance(n, ast.Call) for n in ast.walk(line)) for line in function.body
    )


def places(module: str) -> list[str]:
    """Give the places under tests/ where a module's test may stand."""
    path = Path(module)
    if path.name == "__init__.py":
        path = path.parent
    rooms = [Path(mirror) / path.parent for mirror in MIRRORS]
    if path.parent.name == "kernel":
        rooms.append(path.parent)
    return [str(room / f"test_{path.stem}.py") for room in rooms]


def modules(root: Path) -> list[str]:
    """List the package's modules, from the package's folder."""
    package = root / "auditor"
    return sorted(str(path.relative_to(package)) for path in package.rglob("*.py"))


@pytest.fixture(scope="session")
def tests(root: Path) -> set[str]:
    """List the mirrors' test modules, from tests/."""
    folder = root / "tests"
    return {str(path.relative_to(folder)) for mirror in MIRRORS for path in (folder / mirror).rglob("test_*.py")}


def test_every_module_has_its_test(root: Path, tests: set[str]) -> None:
    """Each module that does something has a test module where the mirror says, or a reason why not."""
    bare = [
        module
        for module in modules(root)
        if module not in EXCEPTIONS
        and not tests.intersection(places(module))
        and has_behaviour(root / "auditor" / module)
    ]
    assert bare == []


def test_every_test_has_its_module(root: Path, tests: set[str]) -> None:
    """Each test module in a mirror stands for a module that exists, unless it is a scenario of real BPF."""
    mirrored = {place for module in modules(root) for place in places(module)}
    assert [test for test in sorted(tests - mirrored) if Path(test).parent != Path("kernel")] == []


def test_exceptions_are_needed(root: Path, tests: set[str]) -> None:
    """No exception outlives its module, or stays once the module has a test."""
    assert [module for module in EXCEPTIONS if module not in modules(root)] == []
    assert [module for module in EXCEPTIONS if tests.intersection(places(module))] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Types only."""\nclass A:\n    x: int\n', False),
        ("class A:\n    def __init__(self, x):\n        self.x = x\n", False),
        ("class A:\n    def __init__(self, x):\n        self.x = work(x)\n", True),
        ("def work(x):\n    return x + 1\n", True),
    ],
)
def test_behaviour_is_recognised(tmp_path: Path, source: str, expected: bool) -> None:
    """A module of types alone has nothing to test; one that computes has."""
    module = tmp_path / "module.py"
    module.write_text(source)
    assert has_behaviour(module) is expected

"""Conditions as source: how little of it there is. That it says the right thing is test_compiler's matter."""

from __future__ import annotations

from typing import Any

from auditor.rules.expressions import Expressions
from auditor.rules.fields import FIELDS
from auditor.rules.pack import Node


def write(node: Node, category: str = "process_creation") -> tuple[str, list[str], dict[str, Any]]:
    """Write a condition; gives the expression, the prologue and the namespace."""
    namespace: dict[str, Any] = {}
    writer = Expressions(FIELDS[category], namespace)
    writer.start({"p.executable.lower()": "image"})
    expression = writer.write(node)
    return expression, writer.prologue(), namespace


def test_tests_of_one_field_are_one_call() -> None:
    """Alternatives become one look-up, one call of endswith, one automaton."""
    ends: Node = ("or", ("ends", "Image", "/a", False), ("ends", "Image", "/b", False))
    assert write(ends)[0] == "(image.endswith(('/a', '/b')))"
    ports: Node = ("or", ("num", "DestinationPort", "==", 1), ("num", "DestinationPort", "==", 2))
    expression, _, namespace = write(ports, "network_connection")
    assert expression == "(e.port in k0)"
    assert namespace["k0"] == {1, 2}


def test_cheap_tests_stand_before_dear_ones() -> None:
    """A number is compared before a text is searched."""
    node: Node = ("and", ("re", "CommandLine", "a+b"), ("num", "ProcessId", "==", 7))
    expression, _, _ = write(node)
    assert expression.index("== 7") < expression.index("k0")


def test_a_value_is_computed_once_and_only_when_asked_for() -> None:
    """It stands in a local variable that the prologue empties."""
    node: Node = ("and", ("has", "CommandLine", "a", False), ("has", "CommandLine", "b", False))
    expression, prologue, _ = write(node)
    assert expression.count("p.command_line.lower()") == 2
    assert prologue == ["v1 = None"]
    assert "v1 if v1 is not None" in expression


def test_words_of_ours_are_not_put_in_lower_case() -> None:
    """They are already."""
    assert write(("eq", "DestinationScope", "external", False), "network_connection")[0] == "e.scope == 'external'"

"""Detections and their conditions."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.rules.detection import DetectionReader, Unserved, served_category
from auditor.rules.documents import Document, Problems
from auditor.rules.pack import Node

A: Node = ("eq", "Image", "a", False)
B: Node = ("eq", "Image", "b", False)
C: Node = ("eq", "User", "c", False)


def read(detection: dict[str, Any]) -> Node:
    """Read a detection over execs without a problem."""
    problems = Problems()
    node = DetectionReader(Document("f", {"detection": detection}, {}), "process_creation", problems).read()
    assert problems.found == []
    return node


@pytest.mark.parametrize(
    ("condition", "node"),
    [
        ("x_a", A),
        ("x_a or x_b and y", ("or", A, ("and", B, C))),
        ("(x_a or x_b) and not y", ("and", ("or", A, B), ("not", C))),
        ("1 of x_*", ("or", A, B)),
        ("any of x_*", ("or", A, B)),
        ("all of x_*", ("and", A, B)),
        ("1 of them", ("or", A, B, C)),
        ("all of them", ("and", A, B, C)),
        ("not 1 of x_*", ("not", ("or", A, B))),
        ("1 of *_b", B),
        (["x_a", "y"], ("or", A, C)),
    ],
)
def test_conditions_are_read(condition: Any, node: Node) -> None:
    """Names, quantities over names, the three operators with their precedence; several conditions are alternatives."""
    names = {"x_a": {"Image": "a"}, "x_b": {"Image": "b"}, "y": {"User": "c"}, "_z": {"User": "z"}}
    assert read({**names, "condition": condition}) == node


def test_a_list_of_mappings_is_alternatives_and_a_mapping_is_all_of_it() -> None:
    """As Sigma has it."""
    assert read({"s": [{"Image": "a", "User": "c"}, {"Image": "b"}], "condition": "s"}) == ("or", ("and", A, C), B)


def test_log_sources_that_events_can_serve() -> None:
    """Linux, or any product, and a category of ours; the rest is named."""
    assert served_category({"product": "linux", "category": "gpu_use"}) == "gpu_use"
    assert served_category({"category": "network_connection"}) == "network_connection"
    for logsource, reason in (
        ({"product": "macos", "category": "process_creation"}, "product macos"),
        ({"product": "linux", "service": "sshd"}, "service sshd"),
        ({"product": "linux"}, "no category: text of logs"),
        ({"category": "dns_query"}, "category dns_query"),
    ):
        with pytest.raises(Unserved, match=reason):
            served_category(logsource)


def test_a_structure_without_end_is_refused() -> None:
    """YAML can say that a list holds itself."""
    endless: list[Any] = [{"Image": "a"}]
    endless.append(endless)
    problems = Problems()
    document = Document("f", {"detection": {"s": endless, "condition": "s"}}, {})
    DetectionReader(document, "process_creation", problems).read()
    assert problems.found == ["f: Recursive YAML structure is not supported"]

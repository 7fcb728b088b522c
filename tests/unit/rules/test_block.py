"""The `auditor:` block."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.rules.block import Block, read_block
from auditor.rules.documents import Document, Problems
from auditor.rules.pack import Example


def read(block: Any, *, sequence: bool = True) -> tuple[Block, list[str]]:
    """Read a block."""
    problems = Problems()
    return read_block(Document("f", {"auditor": block}, {(): 1}), problems, sequence=sequence), problems.found


def test_no_block_is_the_defaults() -> None:
    """A rule without one is plain Sigma: no join, one alert for a tool call."""
    assert read(None) == (Block("none", None, ()), [])


def test_a_block_is_read() -> None:
    """Join, suppression in nanoseconds, examples by name."""
    events = [{"event.action": "exec"}]
    block, problems = read({"join": "same-tree", "suppress": "2m", "examples": [{"no-match": "x", "events": events}]})
    assert problems == []
    assert (block.join, block.suppress_ns) == ("same-tree", 120 * 10**9)
    assert block.examples_of("r") == [Example("r", "x", False, (events[0],))]
    assert read({"suppress": "once-per-group"})[0].suppress_ns is None


@pytest.mark.parametrize(
    "block",
    [
        [],
        {"until": "x"},
        {"join": "cousin"},
        {"suppress": "1w"},
        {"suppress": -1},
        {"examples": {}},
        {"examples": ["x"]},
        {"examples": [{"match": "x"}]},
        {"examples": [{"match": "x", "no-match": "y", "events": [{}]}]},
        {"examples": [{"match": "x", "events": []}]},
        {"examples": [{"match": "x", "events": ["y"]}]},
    ],
)
def test_what_is_not_understood_is_a_problem(block: Any) -> None:
    """Unknown keys and values are never passed over."""
    assert len(read(block)[1]) == 1


def test_only_sequences_join() -> None:
    """One event has nothing to be joined to."""
    assert read({"join": "none"}, sequence=False)[1] == [
        "f:1: 'join' is not known in 'auditor' here (known: examples, suppress)"
    ]

"""The JSON bodies of the witness's records."""

from __future__ import annotations

import orjson
import pytest

from auditor.decode import body
from auditor.model.records import Kind
from tests.builders import stream_header

HEADERS = {kind: tuple(stream_header(kind, 7).values()) for kind in body.KINDS}


def test_missing_fields_are_empty() -> None:
    """An older stream's body, even none at all, still gives an event of each kind."""
    for kind, header in HEADERS.items():
        event = body.read(header, b"")
        assert event.kind == kind
        assert event.time_ns == 7


def test_unknown_fields_are_passed_over() -> None:
    """A newer stream's body may hold more."""
    assert body.read(HEADERS[Kind.END], b'{"reason":"r","more":[1]}').reason == "r"


@pytest.mark.parametrize(
    ("kind", "content", "problem"),
    [
        (Kind.START, {"host": 1}, "host is no text"),
        (Kind.START, {"wall_offset_ns": "1"}, "wall_offset_ns is no whole number"),
        (Kind.TICK, {"cpu_ns": True}, "cpu_ns is no whole number"),
        (Kind.EXECUTABLE, {"marks": "m"}, "marks is no list"),
        (Kind.EXECUTABLE, {"marks": [1]}, "marks is no text"),
        (Kind.EXECUTABLE, {"static": 1}, "static is neither true nor false"),
        (Kind.LOSS, {"counts": [["a"]]}, "counts is no list of pairs"),
        (Kind.LOSS, {"counts": {"a": 1}}, "counts is no list of pairs"),
        (Kind.GPU_SUMMARY, {"requests": [[None, 1]]}, "requests is no whole number"),
    ],
)
def test_wrong_types_are_told(kind: int, content: object, problem: str) -> None:
    """A field of the wrong type is named."""
    with pytest.raises(ValueError, match=problem):
        body.read(HEADERS[kind], orjson.dumps(content))


@pytest.mark.parametrize("raw", [b"[]", b"{", b"\xff", b"nonsense"])
def test_other_bodies_are_refused(raw: bytes) -> None:
    """A body that is no JSON object is an error."""
    with pytest.raises(ValueError):
        body.read(HEADERS[Kind.END], raw)


def test_lists_become_tuples() -> None:
    """Events can be hashed and compared: nothing in them is a list."""
    loss = body.read(HEADERS[Kind.LOSS], b'{"counts":[["ring.exec",3]]}')
    assert loss.counts == (("ring.exec", 3),)
    assert hash(loss)

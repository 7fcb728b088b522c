"""Tests of auditor.model.records. tests/contract/test_wire_layout.py compares it with the C side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.model.records import ALIGNMENT, FRAME, FRAME_SIZE, HEADER, HEADER_SIZE, MAX_PAYLOAD, TaskId, frame


@given(st.binary(max_size=300))
def test_frame_holds_its_payload(payload: bytes) -> None:
    """A frame says the payload's length, holds it, and ends with fewer zeros than a word has bytes, on a word's end."""
    framed = frame(payload)
    end = FRAME_SIZE + len(payload)
    assert FRAME.unpack_from(framed) == (len(payload), 0)
    assert framed[FRAME_SIZE:end] == payload
    assert framed[end:] == bytes(len(framed) - end)
    assert len(framed) % ALIGNMENT == 0
    assert len(framed) - end < ALIGNMENT


def test_length_leaves_the_rings_bits_alone() -> None:
    """No payload is so long that its length would touch the two bits that the ring keeps for itself."""
    assert MAX_PAYLOAD < 1 << 30


def test_header_is_little_endian_without_gaps() -> None:
    """The header's bytes are the same on every machine."""
    packed = HEADER.pack(0x0102, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    assert len(packed) == HEADER_SIZE == 48
    assert packed[:8] == bytes([2, 1, 3, 0, 4, 0, 0, 0])


@pytest.mark.parametrize("other", [TaskId(100, 2), TaskId(101, 1)])
def test_reused_pid_is_another_task(other: TaskId) -> None:
    """A task is told apart by its pid and its start together."""
    assert len({TaskId(100, 1), TaskId(100, 1), other}) == 2

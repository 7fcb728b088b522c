"""The header of a capture."""

from __future__ import annotations

import struct

import pytest

from auditor.capture.format import HEADER, MAGIC, VERSION, is_capture, read_header, write_header
from auditor.errors import CaptureError


def test_header_is_read_back() -> None:
    """What is written is a capture of this version."""
    assert is_capture(write_header())
    assert read_header(write_header(), "x") == HEADER.size == len(write_header())


@pytest.mark.parametrize("opening", [b"", b"{", b"\x89PNG\r\n\x1a\n", b"AUDCAP\n", MAGIC[::-1]])
def test_other_files_are_no_captures(opening: bytes) -> None:
    """Whatever opens otherwise is no capture."""
    assert not is_capture(opening)
    with pytest.raises(CaptureError, match="x is not a capture"):
        read_header(opening, "x")


@pytest.mark.parametrize("length", range(1, HEADER.size))
def test_cut_off_header(length: int) -> None:
    """A capture that was cut off within its header is known as one, and holds nothing."""
    opening = write_header()[:length]
    assert is_capture(opening)
    with pytest.raises(CaptureError, match="cut off within its header"):
        read_header(opening, "x")


def test_version_from_the_future_is_refused() -> None:
    """A later format is refused in a line that says what to do."""
    with pytest.raises(CaptureError, match=f"of format {VERSION + 1}.*newer") as caught:
        read_header(HEADER.pack(MAGIC, VERSION + 1, HEADER.size, 0), "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("version", "size"), [(0, HEADER.size), (VERSION, 8)])
def test_damaged_header_is_refused(version: int, size: int) -> None:
    """A version or size that never was is damage."""
    with pytest.raises(CaptureError, match="damaged header"):
        read_header(HEADER.pack(MAGIC, version, size, 0), "x")


def test_longer_header_of_this_version_is_passed_over() -> None:
    """A header that grew says how long it is."""
    assert read_header(struct.pack("<8sHHI", MAGIC, VERSION, 64, 0), "x") == 64

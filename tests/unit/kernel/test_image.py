"""Compiled probes as data."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.kernel.bpf import MapShape
from auditor.kernel.image import Image, map_references, number_maps

MOVE = struct.pack("<BBhi", 0xB7, 0, 0, 7)
EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)


def wide(source: int, value: int, upper: int = 0) -> bytes:
    """Give a load of 64 bits: two slots, the kind of value in the source register."""
    return struct.pack("<BBhi", 0x18, source << 4 | 1, 0, value) + struct.pack("<BBhi", 0, 0, 0, upper)


def test_maps_are_found_and_exchanged() -> None:
    """References to maps are found wherever they stand, and each is exchanged for its number; nothing else changes."""
    code = MOVE + wide(1, 17) + MOVE + wide(1, 5) + wide(1, 17) + EXIT
    assert map_references(code) == {5, 17}
    assert number_maps(code, {5: 0, 17: 1}) == MOVE + wide(1, 1) + MOVE + wide(1, 0) + wide(1, 1) + EXIT


def test_plain_numbers_are_no_maps() -> None:
    """A 64-bit constant that happens to equal a descriptor, or to look like an instruction, stays as it is."""
    disguised = wide(0, 5, int.from_bytes(b"\x18\x11\0\0", "little"))
    code = disguised + wide(2, 5) + EXIT
    assert map_references(code) == set()
    assert number_maps(code, {5: 9}) == code


def test_unknown_map_is_an_error() -> None:
    """A reference to a map that is not among those given does not pass."""
    with pytest.raises(KeyError):
        number_maps(wide(1, 3) + EXIT, {4: 0})


@given(
    st.sets(st.integers(0, 1 << 30), max_size=5).map(sorted), st.lists(st.binary(min_size=8, max_size=8), max_size=5)
)
def test_numbering_can_be_undone(fds: list[int], between: list[bytes]) -> None:
    """Numbering maps and giving them descriptors again is where one began."""
    plain = [piece for piece in between if piece[0] != 0x18]
    code = b"".join([*(wide(1, fd) for fd in fds), *plain, *(wide(1, fd) for fd in reversed(fds))])
    numbers = {fd: number for number, fd in enumerate(fds)}
    assert map_references(number_maps(code, numbers)) == set(numbers.values())
    assert number_maps(number_maps(code, numbers), {number: fd for fd, number in numbers.items()}) == code


def test_image_is_read_as_written() -> None:
    """An image goes to bytes and back."""
    image = Image((MapShape("ring", 27, 0, 0, 4096, 0), MapShape("labels", 1, 4, 32, 64, 0)), {"on_fork": MOVE + EXIT})
    again = Image.from_bytes(image.to_bytes())
    assert (again.maps, dict(again.programs)) == (image.maps, dict(image.programs))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"maps": []}',
        b'{"maps": [[1, 2]], "programs": {}}',
        b'{"maps": 7, "programs": {}}',
        b'{"maps": [], "programs": []}',
        b'{"maps": [], "programs": {"on_fork": "abc"}}',
        b'{"maps": [], "programs": {"on_fork": 7}}',
    ],
)
def test_anything_else_is_a_value_error(data: bytes) -> None:
    """What is no image is told as such, whatever is wrong with it."""
    with pytest.raises(ValueError):
        Image.from_bytes(data)

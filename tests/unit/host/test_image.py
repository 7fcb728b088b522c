"""A file through bounded reads."""

import os

import pytest

from auditor.host.image import CHUNK, WINDOW, Image, covered, limited, uncovered
from tests.unit.host.binaries import opened


def test_reads_like_a_file() -> None:
    """Seeking, telling and reading follow the rules of binary files, across chunks too."""
    data = os.urandom(3 * CHUNK + 100)
    with opened(data) as fd:
        image = Image(fd, len(data), 1 << 30)
        image.seek(CHUNK - 10)
        assert image.read(20) == data[CHUNK - 10 : CHUNK + 10]
        assert image.tell() == CHUNK + 10
        image.seek(-5, os.SEEK_END)
        assert image.read() == data[-5:]
        assert image.seek(-3, os.SEEK_CUR) == len(data) - 3


@pytest.mark.parametrize(("offset", "length"), [(2**63, 8), (-5, 0), (100, 2**64), (99, -1)])
def test_outside_is_nothing(offset: int, length: int) -> None:
    """Reads outside of the file give no bytes, whatever their offset and length."""
    with opened(bytes(100)) as fd:
        assert Image(fd, 100, 1 << 20).read_at(offset, length) == b""


def test_file_that_shrank_reads_short() -> None:
    """A file that is shorter than it was said to be is no error."""
    with opened(b"abc") as fd:
        assert Image(fd, 1000, 1 << 20).read_at(0, 500) == b"abc"


def test_budget_ends_reading() -> None:
    """Past the budget there is nothing to read, and the image says so; what was read before stays readable."""
    with opened(b"x" * (3 * CHUNK)) as fd:
        image = Image(fd, 3 * CHUNK, CHUNK)
        assert image.read_at(0, 4) == b"xxxx"
        assert not image.exhausted
        assert image.read_at(CHUNK, 4) == b""
        assert image.exhausted
        assert image.read_at(8, 4) == b"xxxx"


def test_windows_overlap() -> None:
    """Windows cover a region with the overlap, so that nothing is cut in two."""
    data = os.urandom(WINDOW + 500)
    with opened(data) as fd:
        windows = list(Image(fd, len(data), 0).windows([(0, len(data))], 100))
    assert windows == [data[: WINDOW + 100], data[WINDOW:]]


def test_regions_are_merged_and_clamped() -> None:
    """Overlapping regions are covered once; what lies outside of the file is not there."""
    assert covered([(50, 10), (0, 20), (10, 30), (95, 2**63), (2**63, 5)], 100) == [(0, 40), (50, 10), (95, 5)]


def test_uncovered_is_the_rest() -> None:
    """What regions leave is the complement of what they cover."""
    assert uncovered([(0, 40), (50, 10)], 100) == [(40, 10), (60, 40)]
    assert uncovered([], 10) == [(0, 10)]


def test_limit_cuts_in_order() -> None:
    """The limit takes the first bytes in the regions' own order."""
    assert limited([(50, 10), (0, 20), (30, 5)], 15) == [(50, 10), (0, 5)]

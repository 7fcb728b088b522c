"""A file seen through a few bounded reads; whoever wrote it may change or shorten it meanwhile.

It is read by pread(2), never mapped: touching a mapped page that the owner has cut off would kill the reader.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

CHUNK: Final = 64 * 1024
WINDOW: Final = 1024 * 1024
"""Bytes of one window of `windows`."""


Region = tuple[int, int]
"""(offset, length) in bytes."""


class Image:
    """An open file of `size` bytes, as the seekable binary stream that pyelftools wants.

    Reads through the stream are cached and counted against `budget` (in bytes); past it, and outside of the file, there
    is nothing to read.
    """

    def __init__(self, fd: int, size: int, budget: int) -> None:
        self.size = size
        self.exhausted = False
        """The budget did not do."""
        self._fd = fd
        self._budget = budget
        self._position = 0
        self._chunks: dict[int, bytes] = {}

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; anywhere is allowed, as in any file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, length: int = -1) -> bytes:
        """Read at the position, and move on; short at the file's end."""
        data = self.read_at(self._position, self.size if length < 0 else length)
        self._position += len(data)
        return data

    def read_at(self, offset: int, length: int) -> bytes:
        """Read anywhere without moving."""
        offset, length = self._clamped(offset, length)
        if length == 0:
            return b""
        first, last = offset // CHUNK, (offset + length - 1) // CHUNK
        if first == last:
            return self._chunk(first)[offset % CHUNK : offset % CHUNK + length]
        data = b"".join(map(self._chunk, range(first, last + 1)))
        return data[offset % CHUNK : offset % CHUNK + length]

    def windows(self, regions: Iterable[Region], overlap: int) -> Iterator[bytes]:
        """Read regions (offset, length in bytes) in windows that overlap, past the cache and the budget."""
        for start, extent in regions:
            offset, length = self._clamped(start, extent)
            end = offset + length
            while offset < end:
                yield os.pread(self._fd, min(WINDOW + overlap, end - offset), offset)
                offset += WINDOW

    def _clamped(self, offset: int, length: int) -> tuple[int, int]:
        offset = min(max(0, offset), self.size)
        return offset, max(0, min(length, self.size - offset))

    def _chunk(self, number: int) -> bytes:
        data = self._chunks.get(number)
        if data is None:
            if self._budget < CHUNK:
                self.exhausted = True
                return b""
            self._budget -= CHUNK
            data = self._chunks[number] = os.pread(self._fd, CHUNK, number * CHUNK)
        return data


def covered(regions: Iterable[Region], size: int) -> list[Region]:
    """Return what the regions cover of a file of `size` bytes, by rising offset, nothing twice."""
    merged: list[Region] = []
    for begin, beyond in sorted((max(0, start), start + length) for start, length in regions):
        end = min(beyond, size)
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif begin < end:
            merged.append((begin, end))
    return [(begin, end - begin) for begin, end in merged]


def uncovered(regions: Iterable[Region], size: int) -> list[Region]:
    """Return what the regions leave of a file of `size` bytes, by rising offset."""
    left: list[Region] = []
    position = 0
    for start, length in [*covered(regions, size), (size, 0)]:
        if start > position:
            left.append((position, start - position))
        position = start + length
    return left


def limited(regions: Iterable[Region], most: int) -> list[Region]:
    """Return the first `most` bytes of the regions, in their order."""
    chosen: list[Region] = []
    for start, length in regions:
        if most <= 0:
            break
        chosen.append((start, min(length, most)))
        most -= length
    return chosen

"""The kernel's ring buffer, read through shared memory in whole spans.

A ring is two positions that only grow and a data area of 2^n bytes. The kernel advances the producer's position as soon
as space is reserved, and marks a record busy until it is written; the reader takes what stands before the first busy
record and advances its own. Layout: kernel/bpf/ringbuf.c. What is taken is already in the frames of
`auditor.model.records`.

The reader is not woken for ordinary records (that is what would cost the watched process most): it polls.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from typing import Final

from auditor.errors import HostError

_BUSY: Final = 1 << 31
_LENGTH: Final = (1 << 30) - 1


class Ring:
    """A reader of one ring buffer."""

    def __init__(self, fd: int, size: int) -> None:
        """Map the ring buffer `fd` of `size` bytes.

        Raises:
            HostError: the kernel does not let it be mapped, or this processor reorders memory so that plain reads
                would not do.

        """
        if os.uname().machine != "x86_64":
            # Python cannot say "load-acquire"; x86 does not need it.
            raise HostError(f"reading the ring on {os.uname().machine} needs memory barriers that are not there yet")
        self.fd = fd
        self._size = size
        try:
            self._consumer = mmap.mmap(fd, mmap.PAGESIZE, offset=0)
            # The kernel maps the data twice in a row; once is enough here, and half the memory.
            self._shared = mmap.mmap(fd, mmap.PAGESIZE + size, prot=mmap.PROT_READ, offset=mmap.PAGESIZE)
            for mapping in (self._consumer, self._shared):
                mapping.madvise(mmap.MADV_DONTFORK)  # a child that is forked later has no business here
        except OSError as error:
            raise HostError(f"cannot map the ring buffer: {error.strerror}") from error
        view = memoryview(self._shared)
        self._produced = view[:8].cast("Q")
        self._data = view[mmap.PAGESIZE :]
        self._words = self._data.cast("I")
        self._position = struct.unpack_from("<Q", self._consumer)[0]

    def pending(self) -> int:
        """Bytes that are reserved and not taken yet."""
        return int(self._produced[0] - self._position)

    def take(self, limit: int, watched: frozenset[int] = frozenset()) -> tuple[bytes, list[int]]:
        """Take the whole frames that are ready, about `limit` bytes at most. Space is given back at once.

        Returns:
            The frames, and where among them those stand whose kind is in `watched`.

        """
        start = position = self._position
        end = self._produced[0]
        if position == end:
            return b"", []
        end = min(end, start + limit)
        words, mask = self._words, self._size - 1
        at: list[int] = []
        while position < end:
            index = (position & mask) >> 2
            length = words[index]
            if length & _BUSY:
                break
            # The kind is the payload's first half word; frames are aligned to 8 bytes, so it never wraps.
            if words[index + 2 & mask >> 2] & 0xFFFF in watched:
                at.append(position - start)
            position += ((length & _LENGTH) + 15) & ~7
        if position == start:
            return b"", at
        first, last = start & mask, position & mask
        data = self._data
        block = bytes(data[first:last]) if first < last else b"".join((data[first:], data[:last]))
        self._position = position
        struct.pack_into("<Q", self._consumer, 0, position)
        return block, at

    def close(self) -> None:
        """Unmap. The descriptor stays the caller's."""
        self._words.release()
        self._data.release()
        self._produced.release()
        self._consumer.close()
        with suppress(BufferError):  # the view's owner is still referenced; it goes with it
            self._shared.close()

"""The tape: writing the record stream to a file, and reading it back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from auditor.capture.format import HEADER, read_header, write_header
from auditor.decode.wire import DISCARDED, whole
from auditor.errors import AuditorError, CaptureError
from auditor.model.records import FRAME_SIZE, MAX_PAYLOAD

_CHUNK: Final = 1 << 20
_LONGEST: Final = FRAME_SIZE + MAX_PAYLOAD


class Writer:
    """Writes blocks of whole frames. What was written stays readable however the writing process ends."""

    def __init__(self, stream: BinaryIO, name: str = "") -> None:
        """`name` is the stream's name in errors. AuditorError where it cannot be written."""
        self._stream = stream
        self._name = name or str(getattr(stream, "name", "")) or "the capture"
        self.write(write_header())

    def write(self, block: bytes | memoryview) -> None:
        """Append a block.

        Raises:
            AuditorError: the stream cannot be written.

        """
        rest = memoryview(block)
        try:
            while rest:
                written = self._stream.write(rest)  # a stream without a buffer may take a part only
                rest = rest[written if written is not None else len(rest) :]
        except OSError as error:
            raise AuditorError(f"cannot write {self._name}: {error.strerror or error}") from error

    def flush(self) -> None:
        """Pass on what the stream holds in a buffer."""
        try:
            self._stream.flush()
        except OSError as error:
            raise AuditorError(f"cannot write {self._name}: {error.strerror or error}") from error


class Reader:
    """Reads a capture in blocks of whole frames.

    A capture that was cut off is read to its last whole record; `cut` tells so, once everything was read.
    """

    def __init__(self, stream: BinaryIO, name: str = "") -> None:
        """Read the header.

        Raises:
            CaptureError: not a capture, or of a version that is yet to come.

        """
        self._stream = stream
        self._name = name or str(getattr(stream, "name", "")) or "the capture"
        opening = self._read(HEADER.size)
        self._position = read_header(opening, self._name)
        if self._position > HEADER.size:
            self._read(self._position - HEADER.size)
        self.cut = False
        """The capture ends within a record."""

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield (place in the file in bytes, block of whole frames).

        Raises:
            CaptureError: the file cannot be read, or holds something that is no frame.

        """
        rest = b""
        while chunk := self._read(_CHUNK):
            rest += chunk
            length = whole(rest)
            if length:
                yield self._position, rest[:length]
                self._position += length
                rest = rest[length:]
            elif len(rest) > _LONGEST:
                break  # damage: decoding it says what is wrong
        if _begins_frame(rest):
            self.cut = True
        elif rest:
            yield self._position, rest

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = self._stream.read(size)
            except OSError as error:
                raise CaptureError(f"cannot read {self._name}: {error.strerror or error}") from error
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _begins_frame(rest: bytes) -> bool:
    """Tell whether these bytes are the first part of a frame, rather than damage."""
    if len(rest) < FRAME_SIZE:
        return bool(rest)
    length = int.from_bytes(rest[:4], "little") & ~DISCARDED
    return length <= MAX_PAYLOAD and len(rest) < _LONGEST + FRAME_SIZE

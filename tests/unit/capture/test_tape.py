"""Writing and reading captures."""

from __future__ import annotations

import errno
import io
import struct

import pytest

from auditor.capture.format import HEADER, MAGIC, VERSION, write_header
from auditor.capture.tape import Reader, Writer
from auditor.decode.wire import decode, decode_into
from auditor.errors import AuditorError, CaptureError
from tests.builders import make_connect, make_end, make_executable, make_start, wire

EVENTS = [make_start(), *(make_connect(port=number) for number in range(50)), make_end()]
STREAM = wire(*EVENTS)


class Trickle(io.RawIOBase):
    """A stream without a buffer, which takes or gives a few bytes at a time."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.place = 0

    def write(self, block) -> int:
        """Take seven bytes at most."""
        part = bytes(block[:7])
        self.content += part
        return len(part)

    def read(self, size: int = -1) -> bytes:
        """Give seven bytes at most."""
        part = bytes(self.content[self.place : self.place + min(7, size)])
        self.place += len(part)
        return part


class Full(io.RawIOBase):
    """A disk without room."""

    name = "/full/x.cap"

    def write(self, _) -> int:
        """Fail."""
        raise OSError(errno.ENOSPC, "No space left on device")

    def read(self, _=-1) -> bytes:
        """Fail."""
        raise OSError(errno.EIO, "Input/output error")

    def flush(self) -> None:
        """Fail."""
        raise OSError(errno.ENOSPC, "No space left on device")


def captured(*blocks: bytes) -> bytes:
    """Give the bytes of a capture."""
    stream = io.BytesIO()
    writer = Writer(stream)
    for block in blocks:
        writer.write(block)
    return stream.getvalue()


def decode_all(reader: Reader, events: list) -> None:
    """Add everything that a reader reads."""
    for place, block in reader.blocks():
        decode_into(events, block, place)


def read(content: bytes):
    """Read a capture: its events, and whether it was cut off."""
    reader = Reader(io.BytesIO(content), "x")
    events = [event for place, block in reader.blocks() for event in decode(block, place)]
    return events, reader.cut


def test_capture_is_read_back() -> None:
    """What was written in any blocks is read back whole."""
    assert read(captured(STREAM)) == (EVENTS, False)
    assert read(captured(*(wire(event) for event in EVENTS))) == (EVENTS, False)


def test_empty_capture_is_read() -> None:
    """A capture of nothing is a capture."""
    assert read(captured()) == ([], False)


def test_streams_without_a_buffer_will_do() -> None:
    """A stream that takes and gives a few bytes at a time gets and gives everything."""
    tape = Trickle()
    Writer(tape).write(STREAM)
    assert bytes(tape.content) == captured(STREAM)
    reader = Reader(Trickle(bytes(tape.content)), "x")
    assert [event for place, block in reader.blocks() for event in decode(block, place)] == EVENTS


def test_long_capture_comes_in_blocks() -> None:
    """A capture longer than one block loses nothing at the blocks' edges, and each tells its place."""
    event = make_executable(marks=("m" * 50_000,))
    content = captured(*[wire(event)] * 60)
    reader = Reader(io.BytesIO(content), "x")
    blocks = list(reader.blocks())
    assert len(blocks) > 2
    assert all(content[place : place + len(block)] == block for place, block in blocks)
    assert sum(len(decode(block)) for _, block in blocks) == 60


def test_cut_off_capture_reads_to_its_last_whole_record() -> None:
    """Cut at any byte, a capture gives every record before the cut, and says that it was cut."""
    ends = {HEADER.size}
    for event in EVENTS:
        ends.add(max(ends) + len(wire(event)))
    content = captured(STREAM)
    for cut in range(HEADER.size, len(content), 13):
        events, was_cut = read(content[:cut])
        assert events == EVENTS[: len([end for end in ends if HEADER.size < end <= cut])]
        assert was_cut == (cut not in ends)


@pytest.mark.parametrize(
    "damage",
    [struct.pack("<II", 80 | 1 << 31, 0) + bytes(80), struct.pack("<II", 70_000, 0) + bytes(80), bytes(100)],
)
@pytest.mark.parametrize("more", [b"", STREAM * 30])
def test_damage_in_the_middle_names_its_place(damage: bytes, more: bytes) -> None:
    """Damage is an error with its offset in the file, whatever follows; what stands before it is read."""
    content = captured(STREAM) + damage + more
    reader = Reader(io.BytesIO(content), "x")
    good = []
    with pytest.raises(CaptureError, match=f"at byte {len(captured(STREAM))}:"):
        decode_all(reader, good)
    assert good == EVENTS
    assert not reader.cut


def test_grown_header_is_stepped_over() -> None:
    """Records begin where the header says that it ends."""
    content = HEADER.pack(MAGIC, VERSION, 32, 0) + bytes(16) + STREAM
    assert read(content) == (EVENTS, False)


def test_other_file_is_refused() -> None:
    """A file that is no capture is an error at once."""
    with pytest.raises(CaptureError, match="x is not a capture"):
        Reader(io.BytesIO(b"hello"), "x")


def test_full_disk_is_told() -> None:
    """A capture that cannot be written is one clear line."""
    with pytest.raises(AuditorError, match=r"cannot write /full/x\.cap: No space left on device"):
        Writer(Full())


def test_flush_passes_on() -> None:
    """Flushing reaches the stream, and its failure is told."""
    stream = io.BytesIO()
    buffered = io.BufferedWriter(stream, 1 << 16)
    writer = Writer(buffered)
    assert stream.getvalue() == b""
    writer.flush()
    assert stream.getvalue() == write_header()
    writer._stream = Full()
    with pytest.raises(AuditorError, match="No space left"):
        writer.flush()


def test_unreadable_file_is_told() -> None:
    """A capture that cannot be read is one clear line."""
    with pytest.raises(CaptureError, match=r"cannot read /full/x\.cap: Input/output error"):
        Reader(Full())

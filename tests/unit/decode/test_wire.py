"""Records to events."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.decode.encode import encode_exec, encode_record
from auditor.decode.wire import BUSY, DISCARDED, decode, decode_into, whole
from auditor.errors import CaptureError
from auditor.model.events import Loss
from auditor.model.records import HEADER, MAX_PAYLOAD, Flag, Kind, frame
from tests.builders import (
    make_connect,
    make_end,
    make_exec,
    make_executable,
    make_exit,
    make_fork,
    make_gpu_open,
    make_gpu_summary,
    make_gpu_use,
    make_loss,
    make_session,
    make_start,
    make_tick,
    make_tool_call,
    wire,
)

EVENTS = [
    make_start(),
    make_session(),
    make_tool_call(),
    make_fork(),
    make_exec(env=("A=b", "EMPTY="), tty="pts0", args=("ssh", "", "-R")),
    make_exec(kind=Kind.SEED),
    make_executable(),
    make_connect(),
    make_connect(ip="2001:db8::1", transport="udp", kind=Kind.SEND),
    make_connect(ip="10.0.0.1", transport="200", port=0),
    make_gpu_open(),
    make_gpu_use(result=-22),
    make_gpu_summary(),
    make_loss(ring_exec=3),
    make_tick(cpu_ns=5, tracked=2),
    make_exit(status=256),
    make_end(),
]
STREAM = wire(*EVENTS)


def discarded(length: int = 40) -> bytes:
    """Return a frame that the ring gave up."""
    return struct.pack("<II", length | DISCARDED, 0) + bytes((length + 7) & ~7)


def test_every_kind_comes_back() -> None:
    """What was encoded, of each kind, is decoded to the same."""
    assert decode(STREAM) == EVENTS


@pytest.mark.parametrize("shape", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(shape) -> None:
    """A block may be bytes, a bytearray or a memoryview."""
    assert decode(shape(STREAM)) == EVENTS


def test_blocks_do_not_matter() -> None:
    """Events are the same however the stream is cut into whole frames."""
    one_by_one = [event for item in EVENTS for event in decode(wire(item))]
    assert one_by_one == decode(STREAM)


def test_discarded_frames_are_stepped_over() -> None:
    """A frame that the ring discarded leaves no event, wherever it stands and however short it is."""
    block = discarded(0) + wire(EVENTS[0]) + discarded() + discarded(1) + wire(EVENTS[3]) + discarded(0)
    assert decode(block) == [EVENTS[0], EVENTS[3]]
    assert whole(block) == len(block)


def test_unknown_kind_is_a_loss() -> None:
    """A record of a kind yet to be invented is passed over, and the loss is told in its place."""
    unknown = frame(HEADER.pack(0x0777, 0, 1, 42, 0, 0, 0, 0, 0, 0) + b"whatever")
    first, loss, last = decode(wire(EVENTS[0]) + unknown + wire(EVENTS[-1]))
    assert (first, last) == (EVENTS[0], EVENTS[-1])
    assert isinstance(loss, Loss)
    assert (loss.time_ns, loss.counts) == (42, (("decode.unknown-kind", 1),))


SHORT = struct.pack("<II", 48, 0) + HEADER.pack(Kind.CONNECT, *[0] * 9)
TORN_EXEC = bytearray(wire(make_exec()))
struct.pack_into("<H", TORN_EXEC, 8 + 160 + 4, 60_000)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (struct.pack("<II", 100 | BUSY, 0) + bytes(104), "never finished"),
        (struct.pack("<II", MAX_PAYLOAD + 1, 0) + bytes(70_000), "cannot be 65537 bytes"),
        (struct.pack("<II", 80, 0) + bytes(16), "ends within a record"),
        (b"\1\2\3", "ends within a frame"),
        (struct.pack("<II", 0, 0), "shorter than its header"),
        (struct.pack("<II", 16, 0) + bytes(16), "too short for its kind"),
        (SHORT, "too short for its kind 0x0201"),
        (bytes(TORN_EXEC), "texts of an exec run past"),
        (frame(HEADER.pack(Kind.END, *[0] * 9) + b"{"), "unexpected end"),
        (struct.pack("<II", 80 | DISCARDED, 0), "ends within a record"),
    ],
)
def test_damage_names_its_byte(damage: bytes, problem: str) -> None:
    """Damage is an error that tells where it is, counted from the start of the stream."""
    good = wire(EVENTS[0])
    with pytest.raises(CaptureError, match=problem) as caught:
        decode(good + damage, base=1000)
    assert f"at byte {1000 + len(good)}:" in str(caught.value)


def test_what_stands_before_damage_is_kept() -> None:
    """The records before the damage are handed over."""
    events = []
    with pytest.raises(CaptureError):
        decode_into(events, wire(*EVENTS[:3]) + b"\1\2\3")
    assert events == EVENTS[:3]


def test_whole_ends_at_the_last_whole_frame() -> None:
    """Cut anywhere, the stream's whole frames are those that decode, and no more."""
    ends = {0}
    for event in EVENTS:
        ends.add(max(ends) + len(wire(event)))
    for cut in range(0, len(STREAM), 5):
        length = whole(STREAM[:cut])
        assert length == max(end for end in ends if end <= cut)
        decode(STREAM[:length])


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_garbage_is_refused_or_read(garbage: bytes) -> None:
    """Any bytes at all give events or a CaptureError, and never another error."""
    events = []
    with suppress(CaptureError):
        decode_into(events, garbage)
    assert len(events) * HEADER.size <= len(garbage)


@settings(max_examples=200)
@given(st.data())
def test_flipped_bytes_are_refused_or_read(data) -> None:
    """A stream with a byte changed gives events or a CaptureError, and every text in them can be written."""
    block = bytearray(STREAM)
    block[data.draw(st.integers(0, len(block) - 1))] ^= data.draw(st.integers(1, 255))
    events = []
    with suppress(CaptureError):
        decode_into(events, block)
    assert all(str(event).encode() for event in events)


def test_root_and_unknown_directories() -> None:
    """A working directory without components is the root, unless it could not be read."""
    record = {"kind": Kind.EXEC, "path_len": 4, "blob": b"sh\0\0"}
    assert decode(encode_record(**record))[0].cwd == "/"
    assert decode(encode_record(**record, flags=Flag.UNREADABLE))[0].cwd == ""


def test_memfd_shows_as_in_proc() -> None:
    """An anonymous file's path has the form that /proc/PID/exe gives it."""
    record = encode_record(kind=Kind.EXEC, flags=Flag.MEMFD, path_len=9, blob=b"memfd:x\0\0")
    assert decode(record)[0].executable == "/memfd:x (deleted)"


def test_deep_path_is_marked() -> None:
    """A path whose upper end was not recorded does not pass for a shorter one."""
    event = make_exec(executable="/usr/bin/git", cwd="/", flags=Flag.PATH_TRUNCATED)
    assert decode(encode_exec(event))[0].executable == "/.../usr/bin/git"


def test_mapped_address_is_ipv4() -> None:
    """An IPv4 address that came through an IPv6 socket stands as IPv4."""
    mapped = bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 9])
    event = decode(encode_record(kind=Kind.CONNECT, address=mapped, family=10, port=1, protocol=6))[0]
    assert (event.ip, event.scope) == ("203.0.113.9", "external")


def test_endpoint_cache_is_bounded() -> None:
    """More endpoints than the cache holds are all read right."""
    for number in range(9000):
        event = make_connect(ip=f"10.1.{number // 256}.{number % 256}", port=number)
        assert decode(wire(event)) == [event]

"""Writing records."""

from __future__ import annotations

import pytest

from auditor.decode.encode import TEXT_LIMIT, encode, encode_exec, encode_gpu_summary, encode_record
from auditor.decode.wire import decode
from auditor.model.records import FRAME_SIZE, Flag, Kind
from tests.builders import make_exec, make_executable, make_gpu_summary, make_start


@pytest.mark.parametrize("event", [make_start(), make_executable(marks=("miner:stratum", "ü\n")), make_exec()])
def test_what_is_encoded_decodes_to_the_same(event) -> None:
    """An event survives being written and read."""
    assert decode(encode(event)) == [event]


def test_frames_are_aligned() -> None:
    """Each frame is a multiple of eight bytes long, so that frames can follow one another."""
    assert {len(encode(make_start(host="h" * length))) % 8 for length in range(9)} == {0}


def test_long_texts_are_cut_and_flagged() -> None:
    """Arguments and environment beyond 4 KiB are cut off there, and the flags and totals say so."""
    (event,) = decode(encode_exec(make_exec(args=("x" * 5000,), env=("E=" + "y" * 6000,))))
    assert event.args == ("x" * TEXT_LIMIT,)
    assert event.env == ("E=" + "y" * (TEXT_LIMIT - 2),)
    assert event.flags == Flag.ARGV_TRUNCATED | Flag.ENV_TRUNCATED
    assert (event.argv_total, event.env_total) == (5001, 6003)


def test_raw_bytes_are_written_as_they_are() -> None:
    """A process's memory may be given where its strings are no UTF-8."""
    (event,) = decode(encode_exec(make_exec(argv_total=0), argv=b"a\0\xff\0", env=b"K=\xfe\0"))
    assert event.args == ("a", "\\xff")
    assert event.env == ("K=\\xfe",)
    assert event.argv_total == 4


def test_memfd_keeps_its_name() -> None:
    """An anonymous file's path comes back as /proc shows it."""
    event = make_exec(executable="/memfd:x (deleted)", flags=Flag.MEMFD | Flag.DELETED)
    assert decode(encode_exec(event)) == [event]


def test_gpu_summary_is_named_when_read() -> None:
    """Requests travel as numbers and are named at decoding; what did not fit travels under a word."""
    event = make_gpu_summary(requests=(("NV_ESC_RM_CONTROL", 3), ("0x1", 1), ("other", 9)), total=13)
    record = encode_gpu_summary(
        event[:10],
        rdev=0x0C3000FF,
        role=1,
        interval_ns=event.interval_ns,
        total=13,
        errors=0,
        requests=[(0xC020462A, 3), (1, 1), ("other", 9)],
    )
    assert decode(record) == [event]


def test_unknown_field_is_refused() -> None:
    """A misspelt field is an error, not a zero."""
    with pytest.raises(TypeError, match="exit_record has no field exitcode"):
        encode_record(kind=Kind.EXIT, exitcode=1)


def test_too_long_body_is_refused() -> None:
    """A record that no reader would take is not written."""
    with pytest.raises(ValueError, match="too long"):
        encode(make_executable(marks=("x" * 70_000,)))


def test_blob_follows_the_struct() -> None:
    """What follows the fixed part is in the frame's length."""
    plain, longer = encode_record(kind=Kind.EXIT), encode_record(kind=Kind.EXIT, blob=b"12345678")
    assert len(longer) == len(plain) + 8
    assert int.from_bytes(longer[:4], "little") == len(longer) - FRAME_SIZE

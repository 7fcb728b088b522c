"""Records to events: the bytes that the probes and the witness write, read.

`decode` is the hot loop of the auditor. It takes whole frames (auditor/model/records.py) and unpacks each record with
one call; what repeats (paths, environments, endpoints) is read once and kept in small bounded caches.

A kind that this version does not know is passed over, and a Loss event stands in its place. Damage (a frame that is not
whole, a record shorter than its fixed part, a body that is not JSON) is a `CaptureError` that names the byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NoReturn

from auditor.decode import body, names
from auditor.decode.encode import encode, encode_exec, encode_gpu_summary, encode_record
from auditor.decode.layout import EXEC, FORK, GPU_OPEN, GPU_USE, LAYOUTS, Layout
from auditor.decode.scope import locate
from auditor.decode.text import environment, mark_cut, name, path, strings
from auditor.errors import CaptureError
from auditor.model.events import Connect, Event, Exec, Exit, Fork, GpuOpen, GpuUse, Loss
from auditor.model.records import FRAME_SIZE, HEADER, HEADER_SIZE, MAX_PAYLOAD, Flag, Kind

__all__ = [
    "LAYOUTS",
    "Layout",
    "decode",
    "decode_into",
    "encode",
    "encode_exec",
    "encode_gpu_summary",
    "encode_record",
    "whole",
]

BUSY: Final = 1 << 31
DISCARDED: Final = 1 << 30

_LENGTH: Final = struct.Struct("<I")
_OPENING: Final = struct.Struct("<I4xH")  # a frame's length, and the kind that its payload opens with
_EXEC_SIZE: Final = EXEC.size
_EXIT: Final = struct.Struct(HEADER.format + "I4x")
_CONNECT: Final = struct.Struct(HEADER.format + "Q21s3x")  # address, family, port and protocol as one key
_ENDPOINT: Final = struct.Struct("<16sHHB")
_ENDPOINT_LIMIT: Final = 8192
_endpoints: dict[bytes, tuple[str, int, str, str]] = {}
_NO_PATH: Final = Flag.UNREADABLE | Flag.PATH_TRUNCATED
_new: Final = tuple.__new__


def decode(block: bytes | bytearray | memoryview, base: int = 0) -> list[Event]:
    """Read every record of a block of whole frames, in order.

    `base` is where the block stands in its stream, in bytes: errors count from there.
    """
    events: list[Event] = []
    decode_into(events, block, base)
    return events


def decode_into(events: list[Event], block: bytes | bytearray | memoryview, base: int = 0) -> None:
    """Append every record of a block to `events`; of a damaged block what stands before the damage."""
    if not isinstance(block, bytes):
        block = bytes(block)
    append = events.append
    opening = _OPENING.unpack_from
    reader_of = _READERS.get
    offset, size = 0, len(block)
    while offset < size:
        try:
            length, kind = opening(block, offset)
        except struct.error:
            offset = _skip(block, offset, base)
            continue
        end = offset + FRAME_SIZE + length
        if length > MAX_PAYLOAD or end > size:
            offset = _skip(block, offset, base)
            continue
        reader, smallest = reader_of(kind, _UNKNOWN)
        if length < smallest:
            _damaged(base + offset, f"a record of {length} bytes is too short for its kind {kind:#06x}")
        try:
            append(reader(block, offset + FRAME_SIZE, end))
        except ValueError as error:
            _damaged(base + offset, str(error))
        offset = (end + 7) & ~7


def whole(block: bytes | memoryview) -> int:
    """Return how many bytes at the block's start are whole frames with their padding.

    What follows is the start of a frame that goes on in the next block, or damage: `decode` tells.
    """
    offset, size = 0, len(block)
    while offset + FRAME_SIZE <= size:
        (length,) = _LENGTH.unpack_from(block, offset)
        length &= ~DISCARDED
        end = (offset + FRAME_SIZE + length + 7) & ~7
        if length > MAX_PAYLOAD or end > size:
            break
        offset = end
    return offset


def _skip(block: bytes, offset: int, base: int) -> int:
    """Step over a frame that the ring discarded, and return where the next one begins. Anything else is damage."""
    if offset + FRAME_SIZE > len(block):
        _damaged(base + offset, "it ends within a frame")
    (length,) = _LENGTH.unpack_from(block, offset)
    if length & BUSY:
        _damaged(base + offset, "a record was never finished")
    end: int = (offset + FRAME_SIZE + (length & ~DISCARDED) + 7) & ~7
    if not length & DISCARDED and length > MAX_PAYLOAD:
        _damaged(base + offset, f"a record cannot be {length} bytes long")
    if end > len(block):
        _damaged(base + offset, "it ends within a record")
    if not length & DISCARDED:
        _damaged(base + offset, f"a record of {length} bytes is shorter than its header")
    return end


def _damaged(offset: int, problem: str) -> NoReturn:
    raise CaptureError(f"the record stream is damaged at byte {offset}: {problem}")


def _fork(block: bytes, start: int, _end: int) -> Event:
    values = FORK.struct.unpack_from(block, start)
    return _new(Fork, values[:13] + (name(values[13]),))  # noqa: RUF005 - one copy less than unpacking


def _exec(block: bytes, start: int, end: int) -> Event:
    # The 32 values up to env_total are the event's own, in its order; then the four lengths, comm and tty.
    values = EXEC.struct.unpack_from(block, start)
    path_len, cwd_len, argv_len, env_len, comm, tty = values[32:]
    at_path = start + _EXEC_SIZE
    at_cwd = at_path + path_len
    at_argv = at_cwd + cwd_len
    at_env = at_argv + argv_len
    if at_env + env_len > end:
        raise ValueError("the texts of an exec run past its record")
    flags = values[1]
    executable, cwd = path(block[at_path:at_cwd]), path(block[at_cwd:at_argv])
    if not cwd and not flags & _NO_PATH:
        cwd = "/"  # the root has no components
    if flags & Flag.PATH_TRUNCATED:
        executable, cwd = mark_cut(executable, cwd)
    if flags & Flag.MEMFD:
        executable += " (deleted)"  # as /proc/PID/exe shows it
    args, env = strings(block[at_argv:at_env]), environment(block[at_env : at_env + env_len])
    return _new(Exec, values[:32] + (name(comm), name(tty), executable, cwd, args, env))  # noqa: RUF005 - as above


def _exit(block: bytes, start: int, _end: int) -> Event:
    return _new(Exit, _EXIT.unpack_from(block, start))


def _connect(block: bytes, start: int, _end: int) -> Event:
    values = _CONNECT.unpack_from(block, start)
    found = _endpoints.get(values[11])
    if found is None:
        found = _endpoint(values[11])
    return _new(Connect, values[:11] + found)


def _endpoint(key: bytes) -> tuple[str, int, str, str]:
    address, family, port, protocol = _ENDPOINT.unpack(key)
    ip, where = locate(family, address)
    if len(_endpoints) >= _ENDPOINT_LIMIT:
        _endpoints.clear()
    found = _endpoints[key] = (ip, port, names.transport(protocol), where)
    return found


def _gpu_open(block: bytes, start: int, _end: int) -> Event:
    values = GPU_OPEN.struct.unpack_from(block, start)
    major, minor, access, role = values[10:]
    return _new(GpuOpen, (*values[:10], names.device(role, major, minor), names.role(role), names.access(access)))


def _gpu_use(block: bytes, start: int, _end: int) -> Event:
    values = GPU_USE.struct.unpack_from(block, start)
    result, request, rdev, role = values[10:14]
    device = names.device(role, *names.split_rdev(rdev))
    return _new(GpuUse, (*values[:10], device, names.role(role), names.request(role, request), result))


def _witness(block: bytes, start: int, end: int) -> Event:
    return body.read(HEADER.unpack_from(block, start), block[start + HEADER_SIZE : end])


def _unknown(block: bytes, start: int, _end: int) -> Event:
    header = HEADER.unpack_from(block, start)
    return _new(Loss, (Kind.LOSS, 0, 0, header[3], *([0] * 6), (("decode.unknown-kind", 1),)))


_Reader = tuple[Callable[[bytes, int, int], Any], int]
_UNKNOWN: Final[_Reader] = (_unknown, HEADER_SIZE)
_STRUCT_READERS: Final[dict[int, Callable[[bytes, int, int], Any]]] = {
    Kind.FORK: _fork,
    Kind.EXEC: _exec,
    Kind.EXIT: _exit,
    Kind.CANDIDATE: _exec,
    Kind.CONNECT: _connect,
    Kind.SEND: _connect,
    Kind.GPU_OPEN: _gpu_open,
    Kind.GPU_USE: _gpu_use,
    Kind.SEED: _exec,
}
_READERS: Final[dict[int, _Reader]] = {
    **{kind: (reader, LAYOUTS[kind].size) for kind, reader in _STRUCT_READERS.items()},
    **dict.fromkeys(body.KINDS, (_witness, HEADER_SIZE)),
}

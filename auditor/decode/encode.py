"""Events to records: what the witness writes, and what tests stage.

Every function returns one whole frame (auditor/model/records.py). Texts must be free of surrogates: text decoded by
`auditor.decode.text` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from auditor.decode.layout import EXEC, HEADER_FIELDS, LAYOUTS
from auditor.decode.text import components
from auditor.model.events import Event, Exec
from auditor.model.records import HEADER, MAX_PAYLOAD, Flag, Kind, frame

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER_SIZE: Final = len(HEADER_FIELDS)
_DELETED: Final = " (deleted)"


def encode(event: Event) -> bytes:
    """Write an event whose record can be told from it: an Exec, or anything that the witness writes but GPU_SUMMARY."""
    if isinstance(event, Exec):
        return encode_exec(event)
    header, values = event[:_HEADER_SIZE], event[_HEADER_SIZE:]
    content = dict(zip(event._fields[_HEADER_SIZE:], values, strict=True))
    return _json(header, content)


def encode_exec(event: Exec, *, argv: bytes | None = None, env: bytes | None = None) -> bytes:
    """Write an EXEC (or SEED, as the event's kind says) in the kernel's layout.

    `argv` and `env` are the process's memory as it stands, for strings that are not UTF-8; without them the event's
    args and env are written. Each is cut off at 4096 bytes, and then the truncation flag is set.
    """
    executable = event.executable
    flags = event.flags
    if flags & Flag.MEMFD:
        executable = executable.removesuffix(_DELETED)
    argv = _terminated(event.args) if argv is None else argv
    env = _terminated(event.env) if env is None else env
    flags |= Flag.ARGV_TRUNCATED if len(argv) > TEXT_LIMIT else 0
    flags |= Flag.ENV_TRUNCATED if len(env) > TEXT_LIMIT else 0
    known = event._asdict()
    fields = {field: known[field] for field in (*HEADER_FIELDS, *EXEC.fields) if field in known}
    fields.update(
        flags=flags,
        argv_total=event.argv_total or len(argv),
        env_total=event.env_total or len(env),
        comm=event.comm.encode()[:15],
        tty=event.tty.encode()[:15],
    )
    parts = (components(executable), components(event.cwd), argv[:TEXT_LIMIT], env[:TEXT_LIMIT])
    fields.update(zip(("path_len", "cwd_len", "argv_len", "env_len"), map(len, parts), strict=True))
    return encode_record(blob=b"".join(parts), **fields)


TEXT_LIMIT: Final = 4096
"""Bytes of argv, and of the environment, that a record holds at most."""


def encode_gpu_summary(
    header: Iterable[int],
    *,
    rdev: int,
    role: int,
    interval_ns: int,
    total: int,
    errors: int,
    requests: Iterable[tuple[int | str, int]],
) -> bytes:
    """Write a GPU_SUMMARY: `header` is an event's first ten values, `requests` are (ioctl request number, count)."""
    content = {
        "rdev": rdev,
        "role": role,
        "interval_ns": interval_ns,
        "total": total,
        "errors": errors,
        "requests": [list(pair) for pair in requests],
    }
    return _json((Kind.GPU_SUMMARY, *tuple(header)[1:]), content)


def encode_record(*, kind: int, blob: bytes = b"", **fields: Any) -> bytes:
    """Write a record whose body is a C struct. Fields not given are zero; `blob` is what follows the struct."""
    layout = LAYOUTS[kind]
    fields["kind"] = kind
    names = (*HEADER_FIELDS, *layout.fields)
    unknown = fields.keys() - set(names)
    if unknown:
        raise TypeError(f"{layout.name} has no field {min(unknown)}")
    empty = layout.struct.unpack(bytes(layout.size))
    values = [fields.get(field, zero) for field, zero in zip(names, empty, strict=True)]
    return frame(layout.struct.pack(*values) + blob)


def _json(header: tuple[Any, ...], content: dict[str, Any]) -> bytes:
    payload = HEADER.pack(*header) + orjson.dumps(content)
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a record of {len(payload)} bytes is too long")
    return frame(payload)


def _terminated(texts: tuple[str, ...]) -> bytes:
    return b"".join(item.encode() + b"\0" for item in texts)

"""The JSON bodies of the witness's records: reading them into events.

A body is an object whose keys are the event's own fields after the header. Keys that this version does not know are
passed over; a field that is missing gets its type's empty value, so that older and newer streams stay readable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from auditor.decode import names
from auditor.model.events import End, Event, Executable, GpuSummary, Loss, Session, Start, Tick, ToolCall
from auditor.model.records import Kind

_Convert = Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("is no text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("is no whole number")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("is neither true nor false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("is no list")
    return tuple(_text(item) for item in value)


def _counts(value: Any) -> tuple[tuple[str, int], ...]:
    return tuple((_text(what), _number(count)) for what, count in _pairs(value))


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, list) and len(item) == 2 for item in value):
        raise TypeError("is no list of pairs")
    return [(item[0], item[1]) for item in value]


_FIELDS: Final[dict[int, tuple[Any, dict[str, tuple[_Convert, Any]]]]] = {
    Kind.START: (
        Start,
        {
            "wall_offset_ns": (_number, 0),
            "boot_id": (_text, ""),
            "host": (_text, ""),
            "kernel": (_text, ""),
            "version": (_text, ""),
        },
    ),
    Kind.SESSION: (Session, {"id": (_text, ""), "selector": (_text, "")}),
    Kind.TOOL_CALL: (ToolCall, {"id": (_text, "")}),
    Kind.EXECUTABLE: (
        Executable,
        {
            "dev": (_number, 0),
            "ino": (_number, 0),
            "size": (_number, 0),
            "ctime_ns": (_number, 0),
            "status": (_text, ""),
            "format": (_text, ""),
            "libraries": (_texts, ()),
            "marks": (_texts, ()),
            "build_id": (_text, ""),
            "language": (_text, ""),
            "static": (_truth, False),
            "interpreter": (_text, ""),
        },
    ),
    Kind.LOSS: (Loss, {"counts": (_counts, ())}),
    Kind.TICK: (Tick, {"cpu_ns": (_number, 0), "tracked": (_number, 0)}),
    Kind.END: (End, {"reason": (_text, "")}),
}

KINDS: Final = (*_FIELDS, Kind.GPU_SUMMARY)
"""Every kind whose body is JSON."""


def read(header: tuple[Any, ...], raw: bytes) -> Event:
    """Build the event of a header's ten values and a body. Raises ValueError with what is wrong with the body."""
    content = orjson.loads(raw) if raw else {}
    if not isinstance(content, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004 - wrong content, not a wrong call
    if header[0] == Kind.GPU_SUMMARY:
        return _gpu_summary(header, content)
    build, fields = _FIELDS[header[0]]
    event: Event = build(*header, *(_value(content, key, *how) for key, how in fields.items()))
    return event


def _value(content: dict[str, Any], key: str, convert: _Convert, missing: Any) -> Any:
    if key not in content:
        return missing
    try:
        return convert(content[key])
    except TypeError as error:
        raise ValueError(f"the body's {key} {error}") from None


def _gpu_summary(header: tuple[Any, ...], content: dict[str, Any]) -> Event:
    def number(key: str) -> int:
        return int(_value(content, key, _number, 0))

    role = number("role")
    requests = _value(content, "requests", _requests(role), ())
    device = names.device(role, *names.split_rdev(number("rdev")))
    values = (device, names.role(role), number("interval_ns"), number("total"), number("errors"), requests)
    return GpuSummary._make((*header, *values))


def _requests(role: int) -> _Convert:
    def convert(value: Any) -> tuple[tuple[str, int], ...]:
        # The probe counts what did not fit under a word, not a number.
        return tuple(
            (number if isinstance(number, str) else names.request(role, _number(number)), _number(count))
            for number, count in _pairs(value)
        )

    return convert

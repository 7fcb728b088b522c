"""One ECS document, read leniently: dotted or nested keys, numbers as text, one value for a list of one.

Everything raises ValueError with what is wrong, naming the field.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

_DEPTH: Final = 16
_SECOND_NS: Final = 1_000_000_000
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s*(?:([Zz])|([+-])(\d\d):?(\d\d))?"
)


class Document:
    """A JSON object with fields that are named by dotted paths."""

    def __init__(self, line: bytes | str) -> None:
        try:
            content = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004 - wrong content, not a wrong call
        self._content = _nest(content, _DEPTH)

    def value(self, path: str) -> Any:
        """Return what stands at a path, None where nothing does."""
        found: Any = self._content
        for key in path.split("."):
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found

    def text(self, path: str) -> str:
        """Return a text, empty where there is none."""
        value = self._one(path)
        if value is None:
            return ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise ValueError(f"{path} is no text")  # noqa: TRY004
        return value

    def number(self, path: str, missing: int = 0) -> int:
        """Return a whole number that fits into 64 bits."""
        value = self._one(path)
        if value is None:
            return missing
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 64:
            raise ValueError(f"{path} is no whole number")
        return value

    def texts(self, path: str) -> tuple[str, ...]:
        """Return a list of texts; a single one counts as a list of one."""
        value = self.value(path)
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in items):
            raise ValueError(f"{path} is no list of texts")
        return tuple(items)

    def truth(self, path: str) -> bool:
        """Return whether a field is true."""
        return self._one(path) is True

    def counts(self, path: str, name: str) -> tuple[tuple[str, int], ...]:
        """Return a list of {`name`: text, "count": number} as pairs."""
        value = self.value(path)
        items = value if isinstance(value, list) else []
        pairs = [(item.get(name), item.get("count")) for item in items if isinstance(item, dict)]
        return tuple((what, count) for what, count in pairs if isinstance(what, str) and isinstance(count, int))

    def time_ns(self) -> int:
        """Return `@timestamp` in nanoseconds since 1970."""
        value = self.value("@timestamp")
        if value is None:
            raise ValueError("no @timestamp")
        if isinstance(value, str):
            return _time_ns(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value * 1_000_000  # a bare number is in milliseconds, as Elasticsearch has it
        raise ValueError("@timestamp is no time")

    def _one(self, path: str) -> Any:
        value = self.value(path)
        return value[0] if isinstance(value, list) and len(value) == 1 else value


def _nest(content: dict[str, Any], depth: int) -> dict[str, Any]:
    """Take dotted keys apart; `{"a.b": 1, "a": {"c": 2}}` becomes `{"a": {"b": 1, "c": 2}}`."""
    nested: dict[str, Any] = {}
    for key, given in content.items():
        value = _nest(given, depth - 1) if isinstance(given, dict) and depth else given
        place = nested
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(f"{key} is below something that is no object")  # noqa: TRY004
        present = place.get(last)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        else:
            place[last] = value
    return nested


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        else:
            into[key] = value


def _time_ns(text: str) -> int:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("@timestamp is no time of ISO 8601")
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        raise ValueError("@timestamp is no time of ISO 8601")
    seconds = ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    if match[9]:
        offset = (int(match[10]) * 60 + int(match[11])) * 60
        seconds -= offset if match[9] == "+" else -offset
    return seconds * _SECOND_NS + int((match[7] or "").ljust(9, "0"))


def _days(year: int, month: int, day: int) -> int:
    """Count the days from 1970-01-01, Gregorian calendar. Years begin in March here, so that leap days end one."""
    year -= month <= 2
    since_march = (month + 9) % 12
    leaps = year // 4 - year // 100 + year // 400
    return year * 365 + leaps + (153 * since_march + 2) // 5 + day - 1 - 719468

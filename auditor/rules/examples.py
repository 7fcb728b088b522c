"""Examples in rules: what they leave out, filled in.

An example's events are documents in the form of the JSON stream. So that they stay short, each may leave out its time
(the events are then a second apart), and what every event has; events whose documents name no session and no tool call
belong to session `s1` and tool call `t1`, whose first process's parent is the agent, pid 99.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from auditor.rules.pack import Example

_AGENT: Final = 99


def lines(example: Example) -> Iterator[bytes]:
    """Give an example's events as lines of the JSON stream, complete."""
    for number, event in enumerate(example.events):
        yield orjson.dumps(_complete(event, number), default=str)


def _complete(event: dict[str, Any], number: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "@timestamp": f"2026-11-21T10:{number // 60:02}:{number % 60:02}.000Z",
        "event.kind": "event",
        "auditor.session.id": "s1",
        "auditor.tool_call.id": "t1",
    }
    if _says(event, "event.action", "exec"):
        defaults["process.parent.pid"] = _AGENT
    return {name: value for name, value in defaults.items() if not _has(event, name)} | event


def _has(event: dict[str, Any], name: str) -> bool:
    return _value(event, name) is not None


def _says(event: dict[str, Any], name: str, value: str) -> bool:
    return bool(_value(event, name) == value)


def _value(event: dict[str, Any], name: str) -> Any:
    """Look a dotted name up, whether the document nests or dots its keys."""
    if name in event:
        return event[name]
    for key, inner in event.items():
        if name.startswith(f"{key}.") and isinstance(inner, dict):
            found = _value(inner, name[len(key) + 1 :])
            if found is not None:
                return found
    return None

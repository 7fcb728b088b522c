"""Examples, filled in."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from auditor.rules.examples import lines
from auditor.rules.pack import Example


def complete(*events: dict[str, object]) -> list[dict[str, object]]:
    """Fill an example's events in."""
    return [orjson.loads(line) for line in lines(Example("r", "n", match=True, events=events))]


def test_what_is_left_out_is_filled_in() -> None:
    """Time, session, tool call, and the agent as the parent of what is executed."""
    first, second = complete({"event.action": "exec", "process.pid": 100}, {"event.action": "connect"})
    assert first["@timestamp"] == "2026-11-21T10:00:00.000Z"
    assert second["@timestamp"] == "2026-11-21T10:00:01.000Z"
    assert (first["auditor.session.id"], first["auditor.tool_call.id"], first["process.parent.pid"]) == ("s1", "t1", 99)
    assert "process.parent.pid" not in second


def test_what_is_said_stays() -> None:
    """Whether keys are dotted, nested or both."""
    (event,) = complete(
        {
            "@timestamp": datetime(2026, 1, 2, tzinfo=UTC),
            "event": {"action": "exec"},
            "process": {"parent": {"pid": 7}},
            "auditor.session": {"id": "other"},
        }
    )
    assert event["@timestamp"] == "2026-01-02T00:00:00+00:00"
    assert "process.parent.pid" not in event
    assert "auditor.session.id" not in event
    assert event["auditor.tool_call.id"] == "t1"

"""JSON lines."""

from __future__ import annotations

import errno
import io

import orjson
import pytest

from auditor.errors import AuditorError
from auditor.lineage.table import Table
from auditor.sinks.jsonl import JsonLines
from tests.builders import make_connect, make_start, make_tick
from tests.unit.sinks.test_alert_document import make_alert


class Trickle(io.RawIOBase):
    """A pipe that takes a hundred bytes at a time."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, block) -> int:
        """Take a part."""
        self.content += bytes(block[:100])
        return len(block[:100])


class Broken(io.RawIOBase):
    """A pipe without a reader."""

    name = "pipe"

    def write(self, _) -> int:
        """Fail."""
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def actions(content: bytes) -> list[str]:
    """List the actions, `alert` for alerts, of lines."""
    assert content == b"" or content.endswith(b"\n")
    documents = [orjson.loads(line) for line in content.splitlines()]
    return ["alert" if one["event"]["kind"] == "alert" else one["event"]["action"] for one in documents]


def feed(sink: JsonLines, *events) -> None:
    """Give events to a sink."""
    table = Table()
    for event in events:
        sink.event(event, table.apply(event))


def test_alerts_only() -> None:
    """By default events are not written, but the host that the stream's start named is known."""
    stream = io.BytesIO()
    sink = JsonLines(stream)
    feed(sink, make_start(), make_connect(), make_tick())
    assert stream.getvalue() == b""
    sink.alert(make_alert())
    assert actions(stream.getvalue()) == ["alert"]
    assert orjson.loads(stream.getvalue())["host"] == {"hostname": "node-1"}


def test_events_and_alerts_keep_their_order() -> None:
    """An alert is written at once, behind the events that came before it."""
    stream = io.BytesIO()
    sink = JsonLines(stream, events=True)
    feed(sink, make_start(), make_connect())
    assert stream.getvalue() == b""
    sink.alert(make_alert())
    assert actions(stream.getvalue()) == ["auditor-start", "connect", "alert"]


def test_tick_and_close_write_what_is_gathered() -> None:
    """Lines of events wait for the next tick, or for the end."""
    stream = io.BytesIO()
    sink = JsonLines(stream, events=True)
    feed(sink, make_connect(), make_tick())
    assert actions(stream.getvalue()) == ["connect", "tick"]
    feed(sink, make_connect())
    assert actions(stream.getvalue()) == ["connect", "tick"]
    sink.close()
    assert actions(stream.getvalue()) == ["connect", "tick", "connect"]
    assert not stream.closed


def test_many_lines_are_not_gathered_for_ever() -> None:
    """A flood of events is written in parts, without a tick."""
    stream = io.BytesIO()
    feed(JsonLines(stream, events=True), *[make_connect()] * 1000)
    assert len(stream.getvalue()) > 100_000


def test_stream_that_takes_a_part_gets_everything() -> None:
    """A stream without a buffer gets every byte, in order."""
    stream, whole = Trickle(), io.BytesIO()
    for target in (stream, whole):
        sink = JsonLines(target, events=True)
        feed(sink, make_start(), make_connect())
        sink.close()
    assert stream.content == whole.getvalue()


def test_broken_stream_is_told_once() -> None:
    """A stream that cannot be written is one clear line, and after that is left alone."""
    sink = JsonLines(Broken())
    with pytest.raises(AuditorError, match="cannot write pipe: Broken pipe") as caught:
        sink.alert(make_alert())
    assert isinstance(caught.value.__cause__, BrokenPipeError)
    sink.alert(make_alert())
    sink.close()

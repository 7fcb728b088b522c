"""The auditor's lines are counted whole, however they come."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pytest

from auditor.lineage.table import Table
from auditor.model.events import Event
from auditor.sinks.documents import Documents
from tests.bench.stream import Alert, Stream
from tests.builders import make_connect, make_exec, make_exit, make_fork, make_gpu_summary, make_loss, make_start

ALERT = b'{"event":{"kind":"alert"},"process":{"args":["worker","--rig-id=%d"]}}'


def read(pieces: Iterable[bytes]) -> Stream:
    """Let a stream read what is written in these pieces, to its end."""
    out, into = os.pipe()
    stream = Stream(os.fdopen(out, "rb"))
    for piece in pieces:
        os.write(into, piece)
    os.close(into)
    stream.close()
    return stream


def lines() -> bytes:
    """Render a few events as the auditor does."""
    events: list[Event] = [
        make_start(),
        make_fork(100, 99),
        make_exec(100),
        make_connect(100),
        make_connect(100),
        make_gpu_summary(100, total=70),
        make_gpu_summary(100, total=7),
        make_loss(ring_connect=3, facts_late=1),
        make_loss(ring_connect=2),
        make_exit(100),
    ]
    table, documents = Table(), Documents()
    return b"".join(documents.event(event, table.apply(event)) + b"\n" for event in events)


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_events_are_counted_wherever_a_read_ends(size: int) -> None:
    """A line that comes in pieces counts once, as its whole."""
    text = lines()
    stream = read(text[at : at + size] for at in range(0, len(text), size))
    assert stream.events == Counter(fork=1, exec=1, connect=2, exit=1)
    assert stream.gpu_ioctls == 77


def test_losses_are_added_up() -> None:
    """What was lost is known by what it was."""
    assert read([lines()]).lost == Counter({"ring.connect": 5, "facts.late": 1})


def test_alert_tells_when_its_program_was_started() -> None:
    """An alert's time of start is its program's own, and its arrival is later than what came before it."""
    stream = read([ALERT % 17 + b"\n", ALERT % 18 + b"\n"])
    assert [alert.started_ns for alert in stream.alerts] == [17, 18]
    assert [type(alert) for alert in stream.alerts] == [Alert, Alert]
    assert stream.alerts[0].arrived_ns <= stream.alerts[1].arrived_ns


def test_end_of_the_stream_ends_the_wait() -> None:
    """Waiting for what a dead auditor will not write does not go on to the end of one's patience."""
    stream = read([lines()])
    assert stream.wait(lambda: stream.events["connect"] == 2, 600)
    assert not stream.wait(lambda: stream.events["tick"] > 0, 600)

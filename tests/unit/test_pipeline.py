"""The stages right of the tee, joined."""

from __future__ import annotations

import pytest

from auditor.errors import CaptureError
from auditor.lineage.table import Table
from auditor.model.events import Connect, Exec, Loss
from auditor.pipeline import Pipeline
from tests.builders import (
    SECOND,
    make_connect,
    make_end,
    make_exec,
    make_executable,
    make_exit,
    make_fork,
    make_loss,
    make_start,
    make_tick,
    wire,
)
from tests.unit.sinks.test_alert_document import make_alert

ALERT = make_alert()
DEADLINE = 77 * SECOND


class Judge:
    """An engine that alerts at each connection, and at each exec whose file turns out to be a miner."""

    def __init__(self) -> None:
        self.seen = []
        self.losses = []

    def observe(self, event, process, *, late=False):
        """Note what is observed."""
        self.seen.append((type(event), process.task.tgid, late))
        is_miner = isinstance(event, Exec) and process.facts is not None and "miner" in process.facts.marks
        return [ALERT] if isinstance(event, Connect) or is_miner else []

    def lose(self, loss):
        """Note a loss."""
        self.losses.append(loss)

    def tick(self, time_ns):
        """Alert at a time that stands for a deadline."""
        return [ALERT] if time_ns == DEADLINE else []


class Notes:
    """A sink that notes what comes, in order."""

    def __init__(self) -> None:
        self.log = []

    def event(self, event, process):
        """Note an event, and who acts."""
        self.log.append((type(event).__name__, process and process.task.tgid))

    def alert(self, alert):
        """Note an alert."""
        self.log.append(("alert", alert.id))

    def close(self):
        """Note the end."""
        self.log.append(("close", None))


@pytest.fixture
def judge() -> Judge:
    """Give an engine."""
    return Judge()


@pytest.fixture
def notes() -> Notes:
    """Give a sink."""
    return Notes()


EVENTS = [make_start(), make_fork(), make_exec(), make_connect(), make_tick(), make_exit(), make_end()]


def test_records_pass_every_stage(judge: Judge, notes: Notes) -> None:
    """Records become events with their processes, then alerts, each event before the alerts that it causes."""
    pipeline = Pipeline(judge, sinks=[notes])
    pipeline.feed(wire(*EVENTS))
    pipeline.close()
    assert notes.log == [
        ("Start", None),
        ("Fork", 100),
        ("Exec", 100),
        ("Connect", 100),
        ("alert", "a1"),
        ("Tick", None),
        ("Exit", 100),
        ("End", None),
        ("close", None),
    ]
    assert [type_.__name__ for type_, _, _ in judge.seen] == ["Fork", "Exec", "Connect", "Exit"]


def test_blocks_do_not_matter(notes: Notes) -> None:
    """The same records give the same, in one block or in many."""
    Pipeline(Judge(), sinks=[notes]).feed(wire(*EVENTS))
    other = Notes()
    pipeline = Pipeline(Judge(), sinks=[other])
    for event in EVENTS:
        pipeline.feed(memoryview(wire(event)))
    assert other.log == notes.log


def test_every_sink_gets_everything(judge: Judge) -> None:
    """Sinks do not know of one another."""
    sinks = [Notes(), Notes()]
    Pipeline(judge, sinks=sinks).feed_events(EVENTS)
    assert sinks[0].log == sinks[1].log != []


def test_given_table_is_used(judge: Judge) -> None:
    """A table given is the one that is filled, also when it is empty yet."""
    table = Table()
    Pipeline(judge, table=table).feed_events(EVENTS[:3])
    assert len(table) == 1


def test_late_facts_are_judged_again(judge: Judge, notes: Notes) -> None:
    """When facts come after the exec, the exec is judged once more, though the process ended meanwhile."""
    exec_ = make_exec()
    Pipeline(judge, sinks=[notes]).feed_events([exec_, make_exit(), make_executable(exec_, marks=("miner",))])
    assert judge.seen[-1] == (Exec, 100, True)
    assert notes.log[-2:] == [("Executable", None), ("alert", "a1")]


def test_facts_in_time_are_not_judged_twice(judge: Judge) -> None:
    """Facts that came before the exec cause no second look."""
    exec_ = make_exec()
    Pipeline(judge).feed_events([make_executable(exec_, marks=("miner",)), exec_])
    assert judge.seen == [(Exec, 100, False)]


def test_losses_reach_the_engine(judge: Judge) -> None:
    """A loss is told to the engine, for the alerts of its time."""
    loss = make_loss(ring_exec=2)
    Pipeline(judge).feed_events([loss])
    assert judge.losses == [loss]


def test_what_the_table_forgets_is_a_loss(judge: Judge, notes: Notes) -> None:
    """What lineage had no room for is told at the next tick, as a loss like any other, and once."""
    pipeline = Pipeline(judge, sinks=[notes], table=Table(capacity=2))
    pipeline.feed_events([*(make_fork(pid, 0) for pid in range(1, 6)), make_tick(7), make_tick(8)])
    (loss,) = judge.losses
    assert isinstance(loss, Loss)
    assert (loss.time_ns, loss.counts) == (7, (("lineage.evicted", 3),))
    assert notes.log.count(("Loss", None)) == 1


def test_what_stands_before_damage_is_judged(judge: Judge, notes: Notes) -> None:
    """Of a damaged block, the records before the damage pass every stage."""
    good = wire(*EVENTS[:4])
    with pytest.raises(CaptureError, match=f"at byte {5 + len(good)}:"):
        Pipeline(judge, sinks=[notes]).feed(good + b"\1\2\3", base=5)
    assert notes.log[-1] == ("alert", "a1")


def test_the_streams_clock_reaches_the_engine(judge: Judge, notes: Notes) -> None:
    """What did not come in time is told at the tick or the end that shows it."""
    pipeline = Pipeline(judge, sinks=[notes])
    pipeline.feed(wire(make_tick(DEADLINE - 1), make_tick(DEADLINE), make_end(DEADLINE)))
    assert notes.log == [("Tick", None), ("Tick", None), ("alert", "a1"), ("End", None), ("alert", "a1")]

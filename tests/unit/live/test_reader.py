"""The privileged side's loop, over a ring and an engine that say what the test has them say."""

from __future__ import annotations

import os
from typing import Any

import pytest

from auditor.decode.wire import decode
from auditor.errors import AuditorError
from auditor.kernel.probes import Label
from auditor.live.reader import _seeds
from auditor.model.events import Connect, End, Event, Exec, Loss, Session, Tick
from auditor.model.records import Kind, LabelSource
from tests.builders import make_connect, make_exec, make_loss, make_session, make_start, wire
from tests.unit.live.scene import Scene, frames


def candidate(**fields: Any) -> Exec:
    """Make the exec of a process that nobody watches: this one."""
    return make_exec(os.getpid(), kind=Kind.CANDIDATE, session=0, call=0, label_source=LabelSource.NONE, **fields)


def test_everything_goes_on_in_order() -> None:
    """Blocks go on as they come, all that there are, with the places of their execs."""
    scene = Scene()
    first = [make_connect(port=1), make_exec(), make_connect(port=2), make_exec(101)]
    second = [make_connect(port=3)]
    assert scene.step(wire(*first), wire(*second)) == [*first, *second]
    block, execs = scene.gate.puts[0]
    assert [decode(block)[n] for n in (1, 3)] == [first[1], first[3]]
    assert execs == [at for at, kind in frames(block) if kind == Kind.EXEC]


def test_full_engine_leaves_the_ring_alone() -> None:
    """While the engine has more than it can take, the ring is the queue."""
    scene = Scene()
    scene.engine.full = True
    assert scene.step(wire(make_connect())) == []
    assert len(scene.probes.ring.blocks) == 1
    scene.engine.full = False
    assert len(scene.step()) == 1


def test_candidates_are_shown_to_selectors_only() -> None:
    """An untracked exec goes no further, whether a selector wants it or not; what stands around it does, in order."""
    scene = Scene("cmdline:^wanted")
    around = [make_connect(port=1), make_exec(101), make_connect(port=2), make_exec(102)]
    seen = scene.step(
        wire(candidate(args=("unwanted",)), around[0], around[1], candidate(args=("wanted",)), around[2], around[3])
    )
    assert [event for event in seen if not isinstance(event, Session)] == around
    assert [type(event) for event in seen] == [Connect, Exec, Session, Connect, Exec]
    assert scene.sessions.adopted == [(os.getpid(), "cmdline:^wanted", LabelSource.SELECTED)]
    for block, execs in scene.gate.puts:
        assert execs == [at for at, kind in frames(block) if kind == Kind.EXEC]


@pytest.mark.parametrize("events", [[candidate(args=("x",))], [make_connect(), candidate(args=("x",))]])
def test_candidate_at_an_edge_of_its_block(events: list[Event]) -> None:
    """A candidate at the end, or alone, leaves just what else there was."""
    scene = Scene("cmdline:wanted")
    assert scene.step(wire(*events)) == events[:-1]


def test_tracked_process_is_no_new_agent() -> None:
    """A candidate that is tracked by now, or gone, is left alone."""
    scene = Scene("cmdline:wanted")
    scene.probes.held[os.getpid()] = Label(1, 0, 0, 1, LabelSource.SELECTED, 0)
    gone = make_exec(4_194_303, kind=Kind.CANDIDATE, args=("wanted",))
    assert scene.step(wire(candidate(args=("wanted",)), gone)) == []
    assert scene.sessions.adopted == []


def test_loss_is_told_once() -> None:
    """What the kernel and the gate lost is told as the difference to what was told before."""
    scene = Scene()
    scene.probes.lost = {"ring.exec": 3}
    scene.gate.refused = 1
    (loss,) = scene.step()
    assert isinstance(loss, Loss)
    assert loss.counts == (("facts.refused", 1), ("ring.exec", 3))
    assert scene.step() == []
    scene.probes.lost = {"ring.exec": 5, "label.full": 1}
    (loss,) = scene.step()
    assert isinstance(loss, Loss)
    assert loss.counts == (("label.full", 1), ("ring.exec", 2))


def test_tick_tells_time_and_tracked() -> None:
    """A tick is told at once and then once a second, with what is tracked and what the auditor has cost."""
    scene = Scene()
    scene.probes.held[100] = Label(1, 1, 100, 1, LabelSource.INHERITED, 0)
    scene.step()
    scene.step()
    (tick,) = [event for event in scene.events() if isinstance(event, Tick)]
    assert tick.tracked == 1
    assert tick.cpu_ns > 0
    assert scene.devices.refreshed == 1


def test_end_comes_last() -> None:
    """At the end the ring is emptied, losses and a tick are told, and the end says why."""
    scene = Scene()
    scene.reader.stop("interrupted")
    scene.reader.stop("terminated")  # the first reason counts
    scene.probes.ring.blocks = [wire(make_connect(port=1)), wire(make_connect(port=2))]
    scene.probes.lost = {"ring.exit": 1}
    scene.reader.finish()
    events = scene.events()
    assert [type(event) for event in events] == [Connect, Connect, Loss, Tick, End]
    assert isinstance(events[-1], End)
    assert events[-1].reason == "interrupted"
    assert scene.gate.drained
    assert scene.probes.detached


def test_engine_that_complains_ends_the_run() -> None:
    """What the engine complains of is the run's error, with its exit code."""
    scene = Scene()
    scene.engine.words = [{"error": "no room on the disk", "exit_code": 1}]
    scene.engine.closed = True
    with pytest.raises(AuditorError, match=r"^no room on the disk$") as caught:
        scene.step()
    assert caught.value.exit_code == 1


def test_engine_that_died_ends_the_run() -> None:
    """An engine that is gone without a word is an error as well."""
    scene = Scene()
    scene.engine.closed = True
    with pytest.raises(AuditorError, match="the engine process died"):
        scene.step()


def test_quit_stops_the_run() -> None:
    """The view's `quit` stops the loop in good order."""
    scene = Scene()
    scene.engine.words = [{"quit": "quit"}]
    scene.step()
    assert scene.reader.stop_reason == "quit"


def test_seeds_are_found() -> None:
    """Among frames of the witness those of running processes are found: their files need facts too."""
    events = [make_start(), make_session(), make_exec(kind=Kind.SEED), make_loss(), make_exec(101, kind=Kind.SEED)]
    block = wire(*events)
    assert _seeds(block) == [at for at, kind in frames(block) if kind == Kind.SEED]
    assert len(_seeds(block)) == 2
    assert _seeds(b"") == []
    scene = Scene()
    scene.reader.emit(block)
    scene.reader.emit(b"")
    assert scene.gate.puts == [(block, _seeds(block))]

"""The privileged side's loop, over a ring and an engine that say what the test has them say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from auditor.decode.wire import decode
from auditor.errors import AuditorError, HostError
from auditor.host.selectors import parse
from auditor.kernel.probes import HOLDS_GPU, GpuCount, Label
from auditor.live.reader import Reader, _seeds
from auditor.model.events import Connect, End, Event, Exec, GpuOpen, GpuSummary, Loss, Session, Tick
from auditor.model.records import FRAME, FRAME_SIZE, Kind, LabelSource
from tests.builders import make_connect, make_exec, make_gpu_open, make_loss, make_session, make_start, rdev, wire


class Ring:
    """Gives the blocks it was given."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def take(self, limit: int, watched: frozenset[int] = frozenset()) -> tuple[bytes, list[int]]:
        """Give the next block, and where watched kinds stand in it."""
        assert limit > 0
        block = self.blocks.pop(0) if self.blocks else b""
        return block, [at for at, kind in frames(block) if kind in watched]


@dataclass
class Probes:
    """What the loop asks of the probes."""

    ring: Ring = field(default_factory=Ring)
    held: dict[int, Label] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    counts: list[GpuCount] = field(default_factory=list)
    watching: bool = False
    refuses: bool = False
    detached: bool = False

    def label(self, tgid: int) -> Label | None:
        """Look up."""
        return self.held.get(tgid)

    def labels(self) -> Iterator[tuple[int, Label]]:
        """Go through all."""
        yield from self.held.items()

    def losses(self) -> dict[str, int]:
        """Tell what was lost so far."""
        return dict(self.lost)

    def loss_count(self) -> int:
        """Add them up."""
        return sum(self.lost.values())

    def watching_ioctl(self) -> bool:
        """Tell."""
        return self.watching

    def watch_ioctl(self, tracefs: int) -> None:
        """Attach."""
        assert tracefs >= 0
        if self.refuses:
            raise HostError("refused")
        self.watching = True

    def unwatch_ioctl(self) -> None:
        """Detach."""
        self.watching = False

    def detach(self) -> None:
        """Detach all; nothing is written any more."""
        self.watching = False
        self.detached = True

    def drain_gpu_counts(self) -> Iterator[GpuCount]:
        """Hand over and forget."""
        while self.counts:
            yield self.counts.pop(0)


class Engine:
    """Both what is sent to the engine and what it says."""

    def __init__(self) -> None:
        self.words: list[dict[str, Any]] = []
        self.closed = False
        self.full = False

    def read(self, *, wait: bool = False) -> list[dict[str, Any]]:
        """Give what was said."""
        assert not wait
        said, self.words = self.words, []
        return said

    def flush(self) -> bool:
        """Send."""
        return not self.full


class Gate:
    """Lets everything through."""

    late = refused = 0
    holding = False

    def __init__(self) -> None:
        self.puts: list[tuple[bytes, list[int]]] = []
        self.drained = False

    def put(self, block: bytes, execs: list[int]) -> None:
        """Take a block."""
        assert not self.drained
        self.puts.append((block, execs))

    def poll(self) -> None:
        """Nothing is held."""

    def drain(self, _wait: object) -> None:
        """Nothing is held."""
        self.drained = True


class Sessions:
    """Takes every process for an agent that it is given."""

    holders_found = False

    def __init__(self) -> None:
        self.adopted: list[tuple[int, str, int]] = []

    def adopt(self, snapshot: Any, selector: str, source: int) -> bytes:
        """Note it, and announce a session."""
        self.adopted.append((snapshot.tgid, selector, source))
        return wire(make_session(snapshot.tgid, id="found"))


class Devices:
    """No drivers come."""

    refreshed = 0

    def refresh(self) -> None:
        """Count."""
        self.refreshed += 1


class Scene:
    """A loop and all around it."""

    def __init__(self, *selectors: str, interval_ns: int = 1 << 60) -> None:
        self.probes, self.engine, self.gate = Probes(), Engine(), Gate()
        self.sessions, self.devices = Sessions(), Devices()
        parts: Any = (self.probes, self.engine, self.engine, self.gate, self.sessions, self.devices)
        roots: Any = None
        self.reader = Reader(
            *parts,
            selectors=[parse(text) for text in selectors],
            cgroups=roots,
            processes=lambda: [os.getpid()],
            summary_interval_ns=interval_ns,
        )

    def step(self, *blocks: bytes) -> list[Event]:
        """Let the loop find these blocks; gives what went on to the gate, without ticks."""
        self.probes.ring.blocks += blocks
        before = len(self.gate.puts)
        self.reader.step()
        return [event for event in self.events(before) if not isinstance(event, Tick)]

    def events(self, since: int = 0) -> list[Event]:
        """List the events that went on to the gate."""
        return [event for block, _ in self.gate.puts[since:] for event in decode(block)]


def frames(block: bytes) -> Iterator[tuple[int, int]]:
    """List where frames stand, and their kinds."""
    at = 0
    while at < len(block):
        yield at, int.from_bytes(block[at + FRAME_SIZE : at + FRAME_SIZE + 2], "little")
        at += FRAME_SIZE + (FRAME.unpack_from(block, at)[0] + 7 & ~7)


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


def test_ioctls_are_watched_while_a_gpu_is_held() -> None:
    """The open of a GPU attaches the probes for ioctls; once nobody holds one, they are detached."""
    scene = Scene()
    scene.probes.held[100] = Label(1, 1, 100, 1, LabelSource.INHERITED, HOLDS_GPU)
    scene.step(wire(make_gpu_open()))
    assert scene.probes.watching
    scene.reader._check_holders(1)
    assert scene.probes.watching
    del scene.probes.held[100]
    scene.probes.counts = [GpuCount(100, rdev("/dev/nvidiactl"), 0x2A, 1, 9, 0, 1, 1, 100, 1, 3)]
    before = len(scene.gate.puts)
    scene.reader._check_holders(2)
    assert [type(event) for event in scene.events(before)] == [GpuSummary]  # the last counts, before nobody counts
    scene.reader.finish()
    assert not scene.probes.watching


def test_refused_watch_is_a_loss() -> None:
    """Where the kernel refuses to have ioctls watched, that is told as a loss, and the run goes on."""
    scene = Scene()
    scene.probes.refuses = True
    seen = scene.step(wire(make_gpu_open()))
    assert [event.counts for event in seen if isinstance(event, Loss)] == [(("gpu.unwatched", 1),)]
    assert [type(event) for event in seen] == [Loss, GpuOpen]


def test_summaries_are_by_process_and_device() -> None:
    """Counts become a record for each process and device: requests by number of calls, the tail of them added up."""
    scene = Scene(interval_ns=0)
    scene.probes.watching = True
    ctl, gpu = rdev("/dev/nvidiactl"), rdev("/dev/nvidia0")
    label = (5, 4, 99, 1, LabelSource.INHERITED)
    scene.probes.counts = [
        *(GpuCount(100, ctl, request, 1, request, 1, *label) for request in range(1, 41)),
        GpuCount(100, gpu, 0x2A, 2, 3, 0, *label),
        GpuCount(101, ctl, 0x2A, 1, 2, 2, *label),
    ]
    scene.probes.held[100] = Label(5, 4, 99, 1, LabelSource.INHERITED, HOLDS_GPU)
    summaries = [event for event in scene.step() if isinstance(event, GpuSummary)]
    assert [(it.tgid, it.device, it.total, it.errors) for it in summaries] == [
        (100, "/dev/nvidiactl", sum(range(1, 41)), 40),
        (100, "/dev/nvidia0", 3, 0),
        (101, "/dev/nvidiactl", 2, 2),
    ]
    first = summaries[0]
    assert (first.start_ns, first.call_start_ns, first.call_tgid, first.session) == label[:4]
    assert [count for _, count in first.requests] == [*range(40, 8, -1), sum(range(1, 9))]
    assert first.requests[-1][0] == "other"
    assert scene.probes.counts == []


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

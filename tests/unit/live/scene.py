"""A loop of the privileged side, over a ring and an engine that say what a test has them say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from auditor.decode.wire import decode
from auditor.errors import HostError
from auditor.host.selectors import parse
from auditor.kernel.probes import GpuCount, Label
from auditor.live.reader import Reader
from auditor.model.events import Event, Tick
from auditor.model.records import FRAME, FRAME_SIZE
from tests.builders import make_session, wire


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

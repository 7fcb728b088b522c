"""The privileged side's loop: the ring to the engine, and the few things that need root meanwhile."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from auditor.decode.encode import encode
from auditor.decode.wire import decode
from auditor.errors import AuditorError
from auditor.host import procfs
from auditor.host.cgroups import Root
from auditor.host.selectors import Selector
from auditor.host.snapshots import read_process
from auditor.kernel.probes import Probes
from auditor.live.devices import DeviceTable
from auditor.live.facts import FactsGate
from auditor.live.gpu import GpuWatch
from auditor.live.link import BlockSender, WordReader
from auditor.live.sessions import Sessions, now
from auditor.model.events import End, Exec, Loss, Tick
from auditor.model.records import FRAME, FRAME_SIZE, HEADER_SIZE, Kind, LabelSource

POLL_NS: Final = 20_000_000
"""Between two looks at the ring. Being woken for every record costs the watched process most (1.73 against 1.07 times
its time for TCP connects), so it is not woken."""
TICK_NS: Final = 1_000_000_000
_TAKE: Final = 1 << 20
_MILLISECOND: Final = 1_000_000
_WATCHED: Final = frozenset({Kind.EXEC, Kind.CANDIDATE, Kind.GPU_OPEN})
_KIND_AT: Final = FRAME_SIZE
_NOBODY: Final = (0, 0, 0, LabelSource.NONE)
_Header: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]


class Reader:
    """One run of the loop."""

    def __init__(
        self,
        probes: Probes,
        sender: BlockSender,
        words: WordReader,
        gate: FactsGate,
        sessions: Sessions,
        devices: DeviceTable,
        *,
        selectors: Iterable[Selector],
        cgroups: Root,
        processes: Callable[[], Iterable[int]],
        summary_interval_ns: int,
    ) -> None:
        """Get ready. `processes` are the auditor's own, whose CPU time the ticks tell."""
        self._probes = probes
        self._sender = sender
        self._words = words
        self._gate = gate
        self._sessions = sessions
        self._devices = devices
        self._selectors = tuple(selectors)
        self._cgroups = cgroups
        self._processes = processes
        self._gpu = GpuWatch(probes, self.emit, self._count_loss, summary_interval_ns)
        self._lost: dict[str, int] = {}
        self._lost_count = 0
        self._next_tick = 0
        self.stop_reason = ""

    def stop(self, reason: str) -> None:
        """Have the loop end once what has come is passed on. Safe in a signal handler."""
        self.stop_reason = self.stop_reason or reason

    def run(self, finished: Callable[[], bool]) -> None:
        """Go on until `stop()` is called or `finished()` (asked ten times a second) says so.

        Raises:
            AuditorError: the engine ended, with what it said.

        """
        with select.epoll() as epoll:
            # Edge-triggered: told of forced wakeups only, not of every record that lies there.
            epoll.register(self._probes.ring.fd, select.EPOLLIN | select.EPOLLET)
            epoll.register(self._sender.fileno(), select.EPOLLIN)
            epoll.register(self._gate.fileno(), select.EPOLLIN)
            next_finished = 0
            while not self.stop_reason:
                # Held back by facts, the queue moves as soon as they come; otherwise the next poll will do.
                ready = epoll.poll((_MILLISECOND if self._gate.holding else POLL_NS) / 1e9)
                self.step(frozenset(fd for fd, _ in ready))
                if now() >= next_finished:
                    next_finished = now() + 5 * POLL_NS
                    if finished():
                        return

    def step(self, ready: frozenset[int] | None = None) -> None:
        """Do once what there is to do; `ready` are the descriptors that have something to read, None: look at all."""
        if ready is None or self._sender.fileno() in ready:
            self._listen()
        self._sender.flush()
        while not self._sender.full:
            if not self._take():
                break
        time_ns = now()
        # Once a second without news as well: that is when a worker that hangs is noticed.
        if ready is None or self._gate.holding or time_ns >= self._next_tick or self._gate.fileno() in ready:
            self._gate.poll()
        self._tell_losses()
        if time_ns >= self._next_tick:
            self._tick(time_ns)
        self._gpu.step(time_ns)

    def _listen(self) -> None:
        """Hear what the engine has to say."""
        for word in self._words.read():
            if "error" in word:
                error = AuditorError(word["error"])
                error.exit_code = word.get("exit_code", 1)
                raise error
            self.stop(word.get("quit", "quit"))
        if self._words.closed:
            raise AuditorError("the engine process died; nothing is judged any more")

    def finish(self) -> None:
        """Detach, and pass on all that the ring still holds, the last counts, and the end."""
        self._gpu.settle()
        self._probes.detach()  # or a task that never rests would keep the ring from ever being empty
        self._sender.flush()
        while self._take():
            _wait_writable(self._sender)
        self._gpu.summarise()
        self._tell_losses()
        self._tick(now())
        self.emit(encode(End(*self._header(Kind.END), self.stop_reason or "done")))
        self._gate.drain(lambda ns: _wait_readable(self._gate, ns))
        self._gpu.close()

    def emit(self, frames: bytes) -> None:
        """Put frames of the witness into the stream, after all that has been taken from the ring."""
        if frames:
            self._gate.put(frames, _seeds(frames))

    def _take(self) -> bool:
        """Take a span of the ring and pass it on; False if there was none."""
        block, watched = self._probes.ring.take(_TAKE, _WATCHED)
        if not block:
            return False
        execs, candidates = [], []
        for at in watched:
            kind = block[at + _KIND_AT] | block[at + _KIND_AT + 1] << 8
            if kind == Kind.EXEC:
                execs.append(at)
            elif kind == Kind.CANDIDATE:
                candidates.append(at)
            else:
                self._gpu.opened()
        if candidates:
            self._pass_without(block, execs, candidates)
        else:
            self._gate.put(block, execs)
        return True

    def _pass_without(self, block: bytes, execs: list[int], candidates: list[int]) -> None:
        """Pass a block on without the candidates in it, which are shown to the selectors instead."""
        start = 0
        for at in candidates:
            if at > start:
                self._gate.put(block[start:at], [item - start for item in execs if start <= item < at])
            length = FRAME.unpack_from(block, at)[0] & 0x3FFFFFFF
            start = at + (length + FRAME_SIZE + 7 & ~7)
            self._offer(block[at:start])
        if start < len(block):
            self._gate.put(block[start:], [item - start for item in execs if item >= start])

    def _offer(self, frame: bytes) -> None:
        for event in decode(frame):
            if not isinstance(event, Exec):
                continue
            selector = next((item.text for item in self._selectors if item.matches(event)), None)
            if selector is None or self._probes.label(event.tgid) is not None:
                continue
            snapshot = read_process(event.tgid, self._cgroups)
            if snapshot is not None:
                self.emit(self._sessions.adopt(snapshot, selector, LabelSource.SELECTED))
                self.watch_holders()

    def watch_holders(self) -> None:
        """Watch ioctls now if a process that was taken in holds a GPU already."""
        if self._sessions.holders_found:
            self._sessions.holders_found = False
            self._gpu.opened()

    # ---- what the auditor says of itself ----

    def _tell_losses(self) -> None:
        count = self._probes.loss_count() + self._gate.refused
        if count == self._lost_count:
            return
        self._lost_count = count
        counts = {**self._probes.losses(), "facts.refused": self._gate.refused}
        fresh = {what: new for what, count in counts.items() if (new := count - self._lost.get(what, 0))}
        if fresh:
            self._lost.update(counts)
            self._emit_loss(fresh)

    def _count_loss(self, what: str, count: int) -> None:
        self._emit_loss({what: count})

    def _emit_loss(self, counts: dict[str, int]) -> None:
        self.emit(encode(Loss(*self._header(Kind.LOSS), tuple(sorted(counts.items())))))

    def _tick(self, time_ns: int) -> None:
        self._next_tick = time_ns + TICK_NS
        self._devices.refresh()
        cpu_ns = sum(procfs.cpu_ns(pid) for pid in self._processes())
        tracked = sum(1 for _ in self._probes.labels())
        self.emit(encode(Tick(*self._header(Kind.TICK), cpu_ns, tracked)))

    def _header(self, kind: int) -> _Header:
        return (kind, 0, os.getpid(), now(), 0, os.getpid(), *_NOBODY)


def _seeds(frames: bytes) -> list[int]:
    """Return offsets of the SEED frames among frames of the witness: their executables need facts as well."""
    found, at = [], 0
    while at + FRAME_SIZE + HEADER_SIZE <= len(frames):
        length = FRAME.unpack_from(frames, at)[0]
        if frames[at + _KIND_AT] | frames[at + _KIND_AT + 1] << 8 == Kind.SEED:
            found.append(at)
        at += length + FRAME_SIZE + 7 & ~7
    return found


def _wait_writable(sender: BlockSender) -> None:
    while not sender.flush() and sender.full:
        select.select([], [sender], [], 0.1)


def _wait_readable(gate: FactsGate, ns: int) -> None:
    select.select([gate], [], [], ns / 1e9)

"""Sessions: which processes are agents, and putting them and what they started under watch.

The kernel labels whatever a tracked process forks from then on. What this module adds are the first labels: an agent's
own, and those of descendants that were there before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from auditor.decode.encode import encode
from auditor.errors import HostError
from auditor.host import procfs
from auditor.host.cgroups import Root
from auditor.host.selectors import Candidate, Selector
from auditor.host.snapshots import ProcessSnapshot, read_process, seed_record
from auditor.kernel.probes import AGENT, CALL_ROOT, HOLDS_GPU, Label, Probes
from auditor.model.events import Session, ToolCall
from auditor.model.records import Flag, Kind, LabelSource, TaskId

_NO_CALL: Final = TaskId(0, 0)
_PASSES: Final = 8
"""Times that descendants are looked for again before giving up on a tree that forks faster than it can be read."""


class Sessions:
    """The sessions of a run, by number. What it does, it also returns as frames for the stream."""

    def __init__(self, probes: Probes, cgroups: Root, is_gpu: Callable[[int], bool]) -> None:
        """`is_gpu` tells of a device number whether who has it open holds a GPU."""
        self._probes = probes
        self._cgroups = cgroups
        self._is_gpu = is_gpu
        self._count = 0
        self.holders_found = False
        """A process that was taken in holds a GPU already."""

    def adopt_matching(self, selectors: Iterable[Selector]) -> bytes:
        """Take in every running process that a selector matches, oldest first, but none of the auditor's own.

        Returns:
            Frames that say so; empty if there was none.

        """
        selectors = tuple(selectors)
        own = _ancestors(os.getpid()).union(procfs.children_of([os.getpid()]))
        frames = []
        for _, pid in sorted((start, pid) for pid in procfs.all_pids() if (start := procfs.start_ns(pid)) is not None):
            if pid in own or self._probes.label(pid) is not None:
                continue
            snapshot = read_process(pid, self._cgroups)
            selector = None if snapshot is None else match(selectors, snapshot)
            if snapshot is not None and selector is not None:
                frames.append(self.adopt(snapshot, selector, LabelSource.SEEDED))
        return b"".join(frames)

    def adopt(self, root: ProcessSnapshot, selector: str, source: int) -> bytes:
        """Make `root` an agent: a session of its own, each of its children a tool call. Empty if it has gone by now."""
        session = self._count + 1
        label = Label(root.start_ns, 0, 0, session, source, AGENT | self._gpu_bit(root.tgid))
        if not self._label(root, label):
            return b""
        self._count = session
        announced = _announce(session, TaskId(root.tgid, root.start_ns), selector, "")
        seed = seed_record(root, time_ns=now(), session=session, flags=Flag.AGENT, label_source=source)
        return announced + seed + b"".join(self._adopt_descendants(root, session, source))

    def register(self, start: Callable[[], int], session_name: str, call_name: str) -> bytes:
        """Make the process that `start()` forks, and whose pid it returns, the first process of a tool call.

        The fork happens under an agent's label on this process, so that the kernel itself labels the child before its
        first instruction, with its exact start time; this process's own label goes at once.
        """
        session, source = self._count + 1, LabelSource.REGISTERED
        own = os.getpid()
        self._probes.set_label(own, Label(0, 0, 0, session, source, AGENT))
        try:
            pid = start()
        finally:
            self._probes.remove_label(own)
        label = self._probes.label(pid)
        if label is None:
            raise HostError("the command's process was not labelled at fork; see `auditor doctor`")
        self._probes.set_label(pid, label._replace(source=source))
        self._count = session
        frames = _announce(session, TaskId(pid, label.start_ns), "exec", session_name)
        if call_name:
            header = (Kind.TOOL_CALL, 0, pid, now(), label.start_ns, pid, session, label.start_ns, pid, source)
            frames += encode(ToolCall(*header, call_name))
        return frames

    def _adopt_descendants(self, root: ProcessSnapshot, session: int, source: int) -> Iterator[bytes]:
        calls: dict[int, TaskId] = {os.getpid(): _NO_CALL}  # the auditor is nobody's tool call, wherever it was started
        for _ in range(_PASSES):
            fresh = [pid for pid in procfs.children_of([root.tgid]) if pid not in calls]
            if not fresh:
                return
            for pid in fresh:
                calls[pid] = _NO_CALL
                snapshot = read_process(pid, self._cgroups)
                if snapshot is None or (calls.get(snapshot.parent_tgid, root) == _NO_CALL):
                    continue
                first = snapshot.parent_tgid == root.tgid
                calls[pid] = TaskId(pid, snapshot.start_ns) if first else calls.get(snapshot.parent_tgid, _NO_CALL)
                if self._probes.label(pid) is None:
                    yield self._take_in(snapshot, calls[pid], session, source, first=first)

    def _take_in(self, snapshot: ProcessSnapshot, call: TaskId, session: int, source: int, *, first: bool) -> bytes:
        bits = (CALL_ROOT if first else 0) | self._gpu_bit(snapshot.tgid)
        if not self._label(snapshot, Label(snapshot.start_ns, call.start_ns, call.tgid, session, source, bits)):
            return b""
        flags = Flag.CALL_ROOT if first else 0
        return seed_record(snapshot, time_ns=now(), session=session, call=call, flags=flags, label_source=source)

    def _label(self, snapshot: ProcessSnapshot, label: Label) -> bool:
        self._probes.set_label(snapshot.tgid, label)
        if procfs.start_ns(snapshot.tgid) == snapshot.start_ns:
            return True
        self._probes.remove_label(snapshot.tgid)  # it went meanwhile; its pid must not keep the label
        return False

    def _gpu_bit(self, pid: int) -> int:
        holds = any(self._is_gpu(rdev) for rdev in procfs.open_devices(pid))
        self.holders_found |= holds
        return HOLDS_GPU if holds else 0


def match(selectors: Iterable[Selector], candidate: Candidate) -> str | None:
    """Return the text of the first selector that chooses this process."""
    return next((selector.text for selector in selectors if selector.matches(candidate)), None)


def now() -> int:
    """Nanoseconds since boot, the clock of all records."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _announce(number: int, root: TaskId, selector: str, name: str) -> bytes:
    header = (Kind.SESSION, 0, root.tgid, now(), root.start_ns, root.tgid, number, 0, 0, LabelSource.NONE)
    return encode(Session(*header, name, selector))


def _ancestors(pid: int) -> set[int]:
    """Return the process and those above it."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        stat = procfs.read_stat(pid)
        pid = 0 if stat is None else stat.parent_tgid
    return found

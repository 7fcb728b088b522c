"""The process table: who is who, who started whom, and whom each is charged to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from auditor.lineage.ancestry import Ancestry
from auditor.lineage.facts import Facts
from auditor.lineage.labels import TICK_NS, Labels
from auditor.model.events import (
    Connect,
    Event,
    Exec,
    Executable,
    Exit,
    Fork,
    GpuOpen,
    GpuSummary,
    GpuUse,
    Start,
    ToolCall,
)
from auditor.model.processes import Process
from auditor.model.records import Flag, Kind, TaskId

CAPACITY: Final = 65_536
"""Processes in the table at most."""
EXITED: Final = 4096
"""Processes that ended and can still be found, for records that come after the end."""

_UNKNOWN_BOOT: Final = "00000000"
_IMAGE_FLAGS: Final = Flag.ARGV_TRUNCATED | Flag.ENV_TRUNCATED | Flag.PATH_TRUNCATED | Flag.MEMFD | Flag.DELETED
_LABEL_FLAGS: Final = Flag.AGENT | Flag.CALL_ROOT


class Table:
    """Processes by task id.

    Bounded: `capacity` live processes (the oldest is evicted when one more comes) and `exited` ended ones (the one that
    ended first goes first). A process that left the table lives on as the ancestor of those that are in it, as far as
    `ancestry` has room.
    """

    def __init__(self, capacity: int = CAPACITY, exited: int = EXITED, ancestry: Ancestry | None = None) -> None:
        self._capacity = capacity
        self._exited_limit = exited
        self._ancestry = Ancestry() if ancestry is None else ancestry
        self._boot = _UNKNOWN_BOOT
        self._live: dict[tuple[int, int], Process] = {}
        self._exited: dict[tuple[int, int], Process] = {}
        self._seeds: dict[tuple[int, int], Process] = {}
        self._labels = Labels(self._entity_id)
        self._facts = Facts()
        self._evicted = 0
        self._handlers: dict[int, Callable[[Any], Process | None]] = {
            Kind.FORK: self._fork,
            Kind.EXEC: self._exec,
            Kind.SEED: self._seed,
            Kind.EXIT: self._exit,
            Kind.CONNECT: self._connect,
            Kind.SEND: self._connect,
            Kind.GPU_OPEN: self._act,
            Kind.GPU_USE: self._act,
            Kind.GPU_SUMMARY: self._act,
            Kind.EXECUTABLE: self._facts.remember,
            Kind.SESSION: self._labels.name_session,
            Kind.TOOL_CALL: self._name_call,
            Kind.START: self._start,
        }

    def apply(self, event: Event) -> Process | None:
        """Take an event in. Returns the process that acts in it, None where the event is about no process."""
        handler = self._handlers.get(event.kind)
        return None if handler is None else handler(event)

    def late(self, event: Executable) -> list[Process]:
        """Give facts to the processes that run the file already.

        Returns those that executed it themselves (also if they ended since), in the order in which they did.
        """
        return self._facts.release(event)

    @property
    def counters(self) -> dict[str, int]:
        """What was forgotten for want of room, since the start: `lineage.evicted` live processes, and so on."""
        return {
            "lineage.evicted": self._evicted,
            "lineage.labels": self._labels.forgotten,
            "lineage.facts": self._facts.given_up,
            "lineage.elided": self._ancestry.elided,
        }

    def __len__(self) -> int:
        """How many live processes the table holds."""
        return len(self._live)

    # One handler a kind.

    def _start(self, event: Start) -> None:
        """Begin anew: another boot, or another run, whose witness tells again who is there."""
        self._boot = event.boot_id[:8] or _UNKNOWN_BOOT
        for table in (self._live, self._exited, self._seeds):
            table.clear()
        self._ancestry.clear()
        self._labels.clear()

    def _name_call(self, event: ToolCall) -> None:
        call = self._labels.name_call(event)
        if call.first is not None:  # named after it began: what was rendered carries its default name
            for process in self._live.values():
                process.document = None

    def _fork(self, event: Fork) -> Process:
        parent = self._find(event.parent_tgid, event.parent_start_ns)
        process = self._find(event.tgid, event.start_ns)
        if process is not None:  # found in /proc before its record was read
            if process.parent is None and process is not parent:
                self._adopt(process, parent)
            return process
        process = self._add(event, parent, event.parent_tgid)
        process.comm = event.comm
        if parent is not None:
            _inherit(process, parent)
            self._facts.inherit(process, parent)
        return process

    def _exec(self, event: Exec) -> Process:
        process = self._find(event.tgid, event.start_ns)
        if process is None:
            parent = self._find(event.parent_tgid, event.parent_start_ns)
            process = self._add(event, parent, event.parent_tgid)
        elif not _is_labelled(process, event):
            self._labels.apply(process, event)
        _run(process, event)
        self._facts.attach(process, event)
        return process

    def _seed(self, event: Exec) -> Process:
        known = self._find(event.tgid, event.start_ns)
        if known is not None and known.exec_count and not known.seeded:
            return known  # its own record, which says more, came first
        process = self._exec(event)
        if known is None:
            process.seeded = True
            if event.start_ns % TICK_NS == 0:
                self._seeds[event.tgid, event.start_ns // TICK_NS] = process
        return process

    def _exit(self, event: Exit) -> Process:
        process = self._find(event.tgid, event.start_ns) or self._add(event, None, 0)
        process.exit_ns = event.time_ns
        process.exit_status = event.status
        process.env = ()
        if not self._facts.waits(process):
            process.exec_event = None
        key = (event.tgid, event.start_ns)
        self._live.pop(key, None)
        self._exited[key] = process
        if len(self._exited) > self._exited_limit:
            oldest = next(iter(self._exited))
            self._forget(oldest, self._exited.pop(oldest))
        return process

    def _connect(self, event: Connect) -> Process:
        process = self._live.get((event.tgid, event.start_ns)) or self._act(event)
        process.connections += 1
        return process

    def _act(self, event: Connect | GpuOpen | GpuUse | GpuSummary) -> Process:
        return self._find(event.tgid, event.start_ns) or self._add(event, None, 0)

    # Finding and adding.

    def _entity_id(self, tgid: int, start_ns: int) -> str:
        return f"{self._boot}.{tgid}.{start_ns}"

    def _find(self, tgid: int, start_ns: int) -> Process | None:
        key = (tgid, start_ns)
        process = self._live.get(key) or self._exited.get(key)
        if process is None and self._seeds:
            process = self._seeds.get((tgid, start_ns // TICK_NS))
            if process is not None and self._live.pop(process.task, None) is not None:
                # Found by its exact start time from here on. Its task id stays: alerts and documents have it.
                self._live[key] = process
        return process

    def _add(self, event: Event, parent: Process | None, parent_tgid: int) -> Process:
        tgid, start_ns = event.tgid, event.start_ns
        task = tuple.__new__(TaskId, (tgid, start_ns))
        process = Process(task, f"{self._boot}.{tgid}.{start_ns}", parent, parent_tgid)
        process.flags = event.flags
        self._labels.apply(process, event)
        self._live[task] = process
        self._ancestry.born(process)
        if len(self._live) > self._capacity:
            self._evict()
        return process

    def _adopt(self, process: Process, parent: Process | None) -> None:
        if parent is not None:
            process.parent = parent
            process.parent_tgid = parent.task.tgid
            process.depth = parent.depth + 1
            process.document = None
            self._ancestry.born(process)

    def _evict(self) -> None:
        oldest = next(iter(self._live))
        self._forget(oldest, self._live.pop(oldest))
        self._evicted += 1

    def _forget(self, key: tuple[int, int], process: Process) -> None:
        if process.seeded:
            self._seeds.pop((key[0], key[1] // TICK_NS), None)
        process.document = None
        self._ancestry.left(process)


def _is_labelled(process: Process, event: Exec) -> bool:
    """Tell whether the process has the label that the record repeats, or the record has none."""
    session, call = process.session, process.call
    if session is None:
        return False
    if not event.session:
        return True
    return (
        call is not None
        and session.number == event.session
        and call.task == (event.call_tgid, event.call_start_ns)
        and process.label_source == event.label_source
        and (process.call_root or not event.flags & Flag.CALL_ROOT)
    )


def _inherit(child: Process, parent: Process) -> None:
    """Make a child run what its parent runs."""
    child.executable = parent.executable
    child.args = parent.args
    child.command_line = parent.command_line
    child.cwd = parent.cwd
    child.env = parent.env
    child.uid = parent.uid
    child.gid = parent.gid
    child.euid = parent.euid
    child.flags |= parent.flags & _IMAGE_FLAGS


def _run(process: Process, event: Exec) -> None:
    """Make a process run another program."""
    process.executable = event.executable
    process.args = event.args
    process.command_line = " ".join(event.args)
    process.comm = event.comm
    process.cwd = event.cwd
    process.env = event.env
    process.uid = event.uid
    process.gid = event.gid
    process.euid = event.euid
    process.flags = event.flags | process.flags & _LABEL_FLAGS
    process.exec_count += 1
    process.exec_event = event
    process.document = None

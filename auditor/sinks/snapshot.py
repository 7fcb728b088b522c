"""What the tally knows at one moment, as values that never change: what the view draws and a final report prints.

Times are nanoseconds since boot, as in events. Text is as the watched process wrote it: escape it before it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.sinks.wording import Line


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One event that an alert rests on."""

    pid: int
    stage: str
    """Name of the rule that the event matched."""
    line: Line


@dataclass(frozen=True, slots=True)
class Mark:
    """A rule that fired on a process."""

    rule_id: str
    rule: str
    """The rule's title."""
    level: str
    count: int
    """How often it fired in this tool call, on whichever process."""
    evidence: tuple[EvidenceLine, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A process in an offending tree."""

    pid: int
    args: tuple[str, ...]
    executable: str
    elided: int
    """Ancestors left out between this process and the node above."""
    start_ns: int
    exit_ns: int | None
    """None while it runs."""
    exit_status: int | None
    """As wait(2) gives it; None while it runs, or where the end was not seen."""
    marks: tuple[Mark, ...]
    """What it is charged with; empty for a process that only leads to an offender."""
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class CallTree:
    """The offending processes of one tool call, from its first process down, with every rule that fired on them."""

    session_id: str
    """Empty where the process belongs to no session."""
    selector: str
    call_id: str
    """Empty where the agent itself, not a tool call, is charged."""
    roots: tuple[Node, ...]
    left_out: int
    """Offenders that this tree has no room for."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """The alerts of one rule in one tool call, folded into one."""

    key: tuple[str, int, int]
    """The same row has the same key in every snapshot."""
    rule_id: str
    rule: str
    level: str
    session_id: str
    call_id: str
    pid: int
    """Of the latest offender; so are `args` and `target`."""
    args: tuple[str, ...]
    target: str
    """What the evidence points at: an address, a device, an executable."""
    count: int
    first_ns: int
    last_ns: int
    losses: tuple[tuple[str, int], ...]
    """What was lost in the latest alert's time window."""
    lineage_complete: bool
    args_truncated: bool
    tree: CallTree


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown of a run."""

    host: str = ""
    now_ns: int = 0
    """Time of the latest event."""
    wall_offset_ns: int = 0
    """Wall-clock time is a time plus this, in nanoseconds since 1970."""
    events: int = 0
    """What watched processes did: starts, ends, connections, GPU use. What the auditor says of itself is not in it."""
    rates: tuple[float, ...] = ()
    """Events a second between one tick and the next, oldest first, at most a minute of them."""
    losses: tuple[tuple[str, int], ...] = ()
    """(what, how many), most first."""
    tracked: int = 0
    """Processes that are tracked now."""
    cpu: float | None = None
    """Share of one CPU that the auditor used between the last two ticks: 0.01 is one hundredth of a CPU."""
    sessions: int = 0
    calls: int = 0
    alerts: int = 0
    """Alerts so far, before folding."""
    rows: tuple[AlertRow, ...] = ()
    """Newest first."""
    evicted: int = 0
    """Rows that there was no room to keep."""
    ended: str | None = None
    """Why the stream ended; None while it goes on."""

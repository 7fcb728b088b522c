"""The tally: what a run amounts to so far, for the view and for the report at its end.

One thread feeds it, another may take snapshots at any time. It looks at no clock: rates are between one tick of the
stream and the next, so that a replay tallies as the live run did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, get_args

from auditor.model.alerts import Alert
from auditor.model.events import (
    Connect,
    End,
    Event,
    Exec,
    Exit,
    Fork,
    GpuOpen,
    GpuSummary,
    GpuUse,
    Loss,
    Session,
    Start,
    Tick,
)
from auditor.model.processes import Process
from auditor.model.records import TaskId
from auditor.sinks.folds import Folds
from auditor.sinks.snapshot import Snapshot

HISTORY: Final = 60
"""Rates kept."""
SAMPLE_NS: Final = 500_000_000
"""The shortest interval that a rate is taken over, in nanoseconds; ticks that come faster are joined."""
MAX_LOSS_KINDS: Final = 64
"""Kinds of loss that are counted apart; what comes after is counted as `other`."""
MAX_LIVE_CALLS: Final = 65_536
"""Running tool calls that are told apart; the oldest is forgotten first."""

_DEEDS: Final = (Fork, Exec, Exit, GpuOpen, GpuUse, GpuSummary)


class Tally:
    """A sink that counts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[type, int] = dict.fromkeys(get_args(Event), 0)
        self._connects = 0
        self._last: Event | None = None
        self._notes: dict[type, Callable[[Any, Process | None], None]] = {
            Start: self._started,
            Fork: self._born,
            Exec: self._born,
            Exit: self._gone,
            Loss: self._lost,
            Tick: self._ticked,
            End: self._ended,
        }
        self._folds = Folds()
        self._start: Start | None = None
        self._end: End | None = None
        self._losses: dict[str, int] = {}
        self._calls = 0
        self._live_calls: dict[TaskId, None] = {}
        self._tick: Tick | None = None
        self._sample: tuple[int, int] | None = None
        """Time of the last sample, and the events there were by then."""
        self._sample_cpu: int | None = None
        self._rates: deque[float] = deque(maxlen=HISTORY)
        self._cpu: float | None = None

    def event(self, event: Event, process: Process | None) -> None:
        """Count an event. Runs for each of them, so it does nothing but count for all that come in numbers."""
        self._last = event
        kind = type(event)
        if kind is Connect:  # the one kind that comes by the hundred thousand a second
            self._connects += 1
            return
        self._counts[kind] += 1
        note = self._notes.get(kind)
        if note is not None:
            note(event, process)

    def alert(self, alert: Alert) -> None:
        """Take an alert in."""
        with self._lock:
            self._folds.add(alert)

    def close(self) -> None:
        """Nothing is held open."""

    def snapshot(self) -> Snapshot:
        """Freeze what is known now. May be called from any thread."""
        with self._lock:
            start, end, tick, last = self._start, self._end, self._tick, self._last
            return Snapshot(
                host=start.host if start else "",
                now_ns=max(last.time_ns if last else 0, tick.time_ns if tick else 0),
                wall_offset_ns=start.wall_offset_ns if start else 0,
                events=self._deeds(),
                rates=tuple(self._rates),
                losses=tuple(sorted(self._losses.items(), key=lambda item: (-item[1], item[0]))),
                tracked=tick.tracked if tick else 0,
                cpu=self._cpu,
                sessions=self._counts[Session],
                calls=self._calls,
                alerts=self._folds.alerts,
                rows=self._folds.freeze(),
                evicted=self._folds.evicted,
                ended=end.reason if end else None,
            )

    def _deeds(self) -> int:
        counts = self._counts
        return self._connects + sum(counts[kind] for kind in _DEEDS)

    def _started(self, event: Start, _: Process | None) -> None:
        with self._lock:
            self._start, self._end = event, None
            self._sample = (event.time_ns, self._deeds())
            self._sample_cpu = None

    def _ended(self, event: End, _: Process | None) -> None:
        with self._lock:
            self._end = event

    def _born(self, _: Fork | Exec, process: Process | None) -> None:
        if process is None or not process.call_root or process.task in self._live_calls:
            return
        self._calls += 1
        self._live_calls[process.task] = None
        if len(self._live_calls) > MAX_LIVE_CALLS:
            del self._live_calls[next(iter(self._live_calls))]

    def _gone(self, _: Exit, process: Process | None) -> None:
        if process is not None and process.call_root:
            self._live_calls.pop(process.task, None)

    def _lost(self, event: Loss, _: Process | None) -> None:
        with self._lock:
            for what, count in event.counts:
                known = what in self._losses or len(self._losses) < MAX_LOSS_KINDS
                name = what if known else "other"
                self._losses[name] = self._losses.get(name, 0) + count

    def _ticked(self, event: Tick, _: Process | None) -> None:
        with self._lock:
            self._tick = event
            if self._sample is None:
                self._sample, self._sample_cpu = (event.time_ns, self._deeds()), event.cpu_ns
                return
            then, counted = self._sample
            passed = event.time_ns - then
            if passed < SAMPLE_NS:
                return
            deeds = self._deeds()
            self._rates.append((deeds - counted) * 1e9 / passed)
            if self._sample_cpu is not None:
                self._cpu = max(0, event.cpu_ns - self._sample_cpu) / passed
            self._sample, self._sample_cpu = (event.time_ns, deeds), event.cpu_ns

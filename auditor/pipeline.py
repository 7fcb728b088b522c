"""The stages right of the tee, in the order in which a record passes them.

    decode      bytes to events
    lineage     who acts, below whom, charged to what
    rules       what nobody asked for
    sinks       documents, lines, counts

It is a fold: the same records give the same alerts, in one block or in many, live or replayed. Nothing here looks at a
clock or does input or output; sinks that write do that on their own account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from auditor.decode.wire import decode_into
from auditor.lineage.table import Table
from auditor.model.alerts import Alert
from auditor.model.events import End, Event, Executable, Loss, Tick
from auditor.model.processes import Process
from auditor.model.records import Kind


class Judge(Protocol):
    """The rules engine, as the pipeline uses it."""

    def observe(self, event: Event, process: Process, *, late: bool = False) -> list[Alert]:
        """Judge an event. `late`: an exec once more, now that facts about its file are known."""

    def lose(self, loss: Loss) -> None:
        """Take note of a loss."""

    def tick(self, time_ns: int) -> list[Alert]:
        """Take note of the time, ns since boot, that the stream tells of; gives the alerts about what did not come."""


class Sink(Protocol):
    """Where events and alerts go. Each event comes before the alerts that it causes."""

    def event(self, event: Event, process: Process | None) -> None:
        """Take an event, with the process that acts in it."""

    def alert(self, alert: Alert) -> None:
        """Take an alert."""

    def close(self) -> None:
        """Nothing more will come."""


class Pipeline:
    """Decode, lineage, rules, sinks."""

    def __init__(self, engine: Judge, *, sinks: Sequence[Sink] = (), table: Table | None = None) -> None:
        self.table: Final = Table() if table is None else table
        self._engine = engine
        self._sinks = tuple(sinks)
        self._forgotten: dict[str, int] = {}

    def feed(self, block: bytes | memoryview, base: int = 0) -> None:
        """Take a block of whole frames. `base` is its place in its stream, for the CaptureError of a damaged one."""
        events: list[Event] = []
        try:
            decode_into(events, block, base)
        finally:
            self.feed_events(events)

    def feed_events(self, events: Iterable[Event]) -> None:
        """Take events in."""
        apply, observe = self.table.apply, self._engine.observe
        takers = [sink.event for sink in self._sinks]
        for event in events:
            process = apply(event)
            for take in takers:
                take(event, process)
            if process is not None:
                alerts = observe(event, process)
                if alerts:
                    self._raise(alerts)
            else:
                self._note(event)

    def close(self) -> None:
        """Let the sinks write what they hold."""
        for sink in self._sinks:
            sink.close()

    def _note(self, event: Event) -> None:
        """Handle what is about the stream itself."""
        if isinstance(event, Executable):
            self._judge_again(event)
        elif isinstance(event, Loss):
            self._engine.lose(event)
        elif isinstance(event, Tick | End):
            self._tell_forgotten(event)
            self._raise(self._engine.tick(event.time_ns))

    def _judge_again(self, event: Executable) -> None:
        for process in self.table.late(event):
            ran: Any = process.exec_event
            alerts = self._engine.observe(ran, process, late=True)
            if alerts:
                self._raise(alerts)

    def _tell_forgotten(self, event: Event) -> None:
        """Tell what the process table had no room for, as a loss like any other."""
        counters = self.table.counters
        if counters == self._forgotten:
            return
        counts = [(what, count - self._forgotten.get(what, 0)) for what, count in counters.items()]
        self._forgotten = counters
        loss = Loss(Kind.LOSS, 0, 0, event.time_ns, 0, 0, 0, 0, 0, 0, tuple((what, n) for what, n in counts if n))
        if loss.counts:
            self._engine.lose(loss)
            for sink in self._sinks:
                sink.event(loss, None)

    def _raise(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            for sink in self._sinks:
                sink.alert(alert)

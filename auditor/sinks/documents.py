"""Events and alerts as ECS documents: one JSON object each, ready to be written as a line.

The hot path joins bytes: what is the same for all events of a process is rendered once and kept in `Process.document`
(lineage clears it when the process changes), what is the same for an endpoint in a bounded cache.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from auditor.model.alerts import Alert
from auditor.model.events import (
    Connect,
    End,
    Event,
    Exec,
    Executable,
    Exit,
    Fork,
    GpuOpen,
    GpuSummary,
    GpuUse,
    Loss,
    Session,
    Start,
    Tick,
    ToolCall,
)
from auditor.model.processes import Process
from auditor.model.records import Kind
from auditor.sinks import ecs
from auditor.sinks.alert_document import alert_part
from auditor.sinks.ecs import Document
from auditor.sinks.fragments import Fragments

_SECOND: Final = 1_000_000_000
_ENDPOINT_LIMIT: Final = 8192
_SESSION_LIMIT: Final = 1024
_Key = TypeVar("_Key")
_Rendered = TypeVar("_Rendered")


class Documents:
    """Renders one stream. Remembers the stream's start: the host, and what its clock means."""

    def __init__(self) -> None:
        self._boot = "00000000"
        self._offset_ns = 0
        self._second = -1
        self._opening = b""
        self._heads: dict[int, bytes] = {}
        self._common: Document = {}
        self._fragments = Fragments()
        self._endpoints: dict[tuple[Any, ...], bytes] = {}
        self._networks: dict[tuple[str, str, bool], tuple[bytes, bytes]] = {}
        self._sessions: dict[int, str] = {}
        self._renderers: dict[int, Callable[[Any, Any], bytes]] = {
            Kind.FORK: self._fork,
            Kind.EXEC: self._exec,
            Kind.SEED: self._exec,
            Kind.EXIT: self._exit,
            Kind.CONNECT: self._connect,
            Kind.SEND: self._connect,
            Kind.GPU_OPEN: self._gpu,
            Kind.GPU_USE: self._gpu,
            Kind.GPU_SUMMARY: self._gpu,
            Kind.EXECUTABLE: self._executable,
            Kind.SESSION: self._session,
            Kind.TOOL_CALL: self._tool_call,
            Kind.START: self._start,
            Kind.LOSS: self._loss,
            Kind.TICK: self._tick,
            Kind.END: self._end,
        }
        self._describe_host(None)

    def event(self, event: Event, process: Process | None) -> bytes:
        """Render an event. `process` is the one that acts in it, as lineage gave it."""
        return self._renderers[event.kind](event, process)

    def alert(self, alert: Alert) -> bytes:
        """Render an alert."""
        return orjson.dumps(
            {"@timestamp": self._time(alert.time_ns), **self._common, **alert_part(alert, self._time, self._fragments)}
        )

    def begin(self, event: Start) -> None:
        """Take note of the stream's start without rendering it."""
        self._boot = event.boot_id[:8] or self._boot
        self._offset_ns = event.wall_offset_ns
        self._second = -1
        self._fragments = Fragments()
        self._describe_host(event)

    # Time and what all documents share.

    def _describe_host(self, start: Start | None) -> None:
        self._common = {"ecs": {"version": ecs.ECS_VERSION}}
        if start is not None:
            self._common["host"] = ecs.filled(hostname=start.host)
            self._common["agent"] = ecs.filled(type="auditor", version=start.version)
        shared = orjson.dumps(self._common)[1:-1]
        self._heads = {
            kind: b'Z",%b,"event":%b,' % (shared, orjson.dumps(ecs.event_part(kind))) for kind in self._renderers
        }

    def _open(self, event: Event) -> bytes:
        """Return the start of a document: an open object that ends in a comma."""
        second, rest = divmod(event[3] + self._offset_ns, _SECOND)
        if second != self._second:
            self._second = second
            self._opening = b'{"@timestamp":"%b.' % _whole_seconds(second).encode()
        return b"%b%09d%b" % (self._opening, rest, self._heads[event[0]])

    def _time(self, time_ns: int) -> str:
        second, rest = divmod(time_ns + self._offset_ns, _SECOND)
        return f"{_whole_seconds(second)}.{rest:09d}Z"

    def _stream(self, event: Event, part: Document) -> bytes:
        return self._open(event) + orjson.dumps(part)[1:]

    def _entity_id(self, tgid: int, start_ns: int) -> str:
        return f"{self._boot}.{tgid}.{start_ns}"

    # One renderer a kind.

    def _connect(self, event: Connect, process: Process) -> bytes:
        key = event[11:]
        known: Any = process.document
        return b'%b%b,"socket":{"cookie":%d},%b' % (
            self._open(event),
            known or self._fragments.acting(process),
            event.cookie,
            self._endpoints.get(key) or self._endpoint(event, key),
        )

    def _endpoint(self, event: Connect, key: tuple[Any, ...]) -> bytes:
        known = self._networks.get((event.transport, event.scope, ":" in event.ip))
        if known is None:
            outer, inner = ecs.network_part(event)
            known = b"%b," % orjson.dumps(inner)[1:], b',"network":%b}' % orjson.dumps(outer["network"])
            _keep(self._networks, (event.transport, event.scope, ":" in event.ip), known)
        ip = b'"ip":%b,' % orjson.dumps(event.ip) if event.ip else b""
        destination = b'"destination":{%b"port":%d}' % (ip, event.port)
        return _keep(self._endpoints, key, b"%b%b%b" % (known[0], destination, known[1]))

    def _fork(self, event: Fork, process: Process) -> bytes:
        known: Any = process.document
        return b"%b%b}}" % (self._open(event), known or self._fragments.acting(process))

    def _exit(self, event: Exit, process: Process) -> bytes:
        ended = ecs.exit_part(event)["exit_code"]
        known: Any = process.document
        shown = known or self._fragments.acting(process)
        signal = event.status & 0x7F
        detail = b',"exit":{"signal":%d}' % signal if signal else b""
        return b'%b"process":{"exit_code":%d,%b%b}}' % (self._open(event), ended, shown[11:], detail)

    def _exec(self, event: Exec, process: Process) -> bytes:
        return b"%b%b}" % (self._open(event), self._fragments.executed(event, process))

    def _gpu(self, event: GpuOpen | GpuUse | GpuSummary, process: Process) -> bytes:
        outer, inner = ecs.gpu_part(event)
        known: Any = process.document
        shown = known or self._fragments.acting(process)
        return b"%b%b,%b,%b" % (self._open(event), shown, orjson.dumps(inner)[1:], orjson.dumps(outer)[1:])

    def _executable(self, event: Executable, _: None) -> bytes:
        part = {"file": {"inode": str(event.ino), "size": event.size}}
        return self._stream(event, {**part, "auditor": ecs.deed_part(event)[1]})

    def _session(self, event: Session, _: None) -> bytes:
        root = self._entity_id(event.tgid, event.start_ns)
        session = ecs.filled(id=event.id or root, entity_id=root, selector=event.selector)
        self._sessions[event.session] = session["id"]
        if len(self._sessions) > _SESSION_LIMIT:
            del self._sessions[next(iter(self._sessions))]
        return self._stream(event, {"process": {"pid": event.tgid, "entity_id": root}, "auditor": {"session": session}})

    def _tool_call(self, event: ToolCall, _: None) -> bytes:
        task = (event.call_tgid, event.call_start_ns) if event.call_tgid else (event.tgid, event.start_ns)
        first = self._entity_id(*task)
        session = ecs.filled(id=self._sessions.get(event.session))
        call = {"id": event.id or first, "entity_id": first}
        return self._stream(event, {"auditor": {**ecs.filled(session=session), "tool_call": call}})

    def _start(self, event: Start, _: None) -> bytes:
        self.begin(event)
        stream = {"wall_offset_ns": event.wall_offset_ns}
        host = {"hostname": event.host, "boot": {"id": event.boot_id}, "os": {"type": "linux", "kernel": event.kernel}}
        return orjson.dumps(
            {
                "@timestamp": self._time(event.time_ns),
                **self._common,
                "event": ecs.event_part(event.kind),
                "host": host,
                "auditor": {"stream": stream},
            }
        )

    def _loss(self, event: Loss, _: None) -> bytes:
        losses = [{"what": what, "count": count} for what, count in event.counts]
        return self._stream(event, {"auditor": {"loss": losses}})

    def _tick(self, event: Tick, _: None) -> bytes:
        return self._stream(event, {"auditor": {"cpu_ns": event.cpu_ns, "tracked": event.tracked}})

    def _end(self, event: End, _: None) -> bytes:
        return self._stream(event, {"auditor": {"end": {"reason": event.reason}}})


def _keep(cache: dict[_Key, _Rendered], key: _Key, rendered: _Rendered) -> _Rendered:
    if len(cache) >= _ENDPOINT_LIMIT:
        cache.clear()
    cache[key] = rendered
    return rendered


def _whole_seconds(second: int) -> str:
    try:
        return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "1970-01-01T00:00:00"  # a damaged or invented stream; nothing better can be said

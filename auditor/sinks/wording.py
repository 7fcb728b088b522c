"""Events in a few words: what a process did, to what. For people; the JSON stream has everything.

Text is as the watched process wrote it: escape it before it is shown.
"""

from __future__ import annotations

import signal
from typing import NamedTuple

from auditor.model.alerts import Alert, Evidence
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
    ToolCall,
)
from auditor.model.records import Kind


class Line(NamedTuple):
    """An event in words."""

    verb: str
    """Ours: `connect`, `exec`, `gpu-open`, ..."""
    object: str
    """What it was done to, as one string: `203.0.113.66:22`, `/dev/nvidia0`, an executable's path. May be empty."""
    details: tuple[str, ...]
    """Further words, most telling first; of an exec its arguments."""


def describe(event: Event) -> Line:
    """Put an event in words."""
    match event:
        case Connect():
            verb = "send" if event.kind == Kind.SEND else "connect"
            return Line(verb, endpoint(event.ip, event.port), (event.transport, event.scope))
        case Exec():
            return Line("running" if event.kind == Kind.SEED else "exec", event.executable, event.args)
        case Fork():
            return Line("fork", "", (event.comm,))
        case Exit():
            return Line("exit", "", (ending(event.status),))
        case GpuOpen():
            return Line("gpu-open", event.device, (event.access,))
        case GpuUse():
            return Line("gpu-use", event.device, (event.request, f"result {event.result}"))
        case GpuSummary():
            most = tuple(f"{name} {count}" for name, count in event.requests[:3])
            return Line("gpu-summary", event.device, (f"{event.total} requests", f"{event.errors} failed", *most))
        case _:
            return _of_the_stream(event)


def _of_the_stream(event: Event) -> Line:
    match event:
        case Executable():
            return Line("facts", event.build_id, (event.status, *event.marks))
        case Session():
            return Line("session", event.id, (event.selector,))
        case ToolCall():
            return Line("tool-call", event.id, ())
        case Loss():
            return Line("loss", "", tuple(f"{what}:{count}" for what, count in event.counts))
        case Start():
            return Line("start", event.host, (event.kernel, event.version))
        case End():
            return Line("end", "", (event.reason,))
        case _:
            return Line("tick", "", ())


def endpoint(ip: str, port: int) -> str:
    """Put an address and a port together, an IPv6 address in brackets."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def ending(status: int) -> str:
    """Say how a process ended, from its status as wait(2) gives it: `exit 0`, `SIGKILL`."""
    number = status & 0x7F
    if number == 0:
        return f"exit {status >> 8 & 0xFF}"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def target(alert: Alert) -> Event | None:
    """Find the event that says where an alert points: the most outward connection, else GPU use, else the latest.

    Of equals the latest counts. None where an alert rests on no event.
    """
    if not alert.evidence:
        return None
    return max(enumerate(alert.evidence), key=_telling)[1].event


def args_then(alert: Alert) -> tuple[str, ...]:
    """Give the offender's arguments when the rule fired; it may have run something else since."""
    own = [evidence.args for evidence in alert.evidence if evidence.process is alert.process]
    return own[-1] if own else alert.process.args


def _telling(numbered: tuple[int, Evidence]) -> tuple[int, int]:
    number, evidence = numbered
    event = evidence.event
    if isinstance(event, Connect):
        return (2 if event.scope == "loopback" else 3), number
    return int(isinstance(event, GpuOpen | GpuUse | GpuSummary)), number

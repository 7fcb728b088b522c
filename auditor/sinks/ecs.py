"""The pieces that documents are put together from: processes, tool calls, what an event tells besides.

Every function returns plain data in ECS names (or the project's own below `auditor.`). What is empty is left out.
"""

from __future__ import annotations

from typing import Any, Final

from auditor.model.events import Connect, Event, Exec, Executable, Exit, GpuOpen, GpuSummary, GpuUse
from auditor.model.processes import Process
from auditor.model.records import Flag, Kind, LabelSource

Document = dict[str, Any]

ECS_VERSION: Final = "8.17.0"

LABEL_SOURCES: Final = {
    LabelSource.NONE: "none",
    LabelSource.SEEDED: "seeded",
    LabelSource.SELECTED: "selected",
    LabelSource.INHERITED: "inherited",
    LabelSource.REGISTERED: "registered",
}
FLAGS: Final = {
    "argv-truncated": Flag.ARGV_TRUNCATED,
    "env-truncated": Flag.ENV_TRUNCATED,
    "path-truncated": Flag.PATH_TRUNCATED,
    "memfd": Flag.MEMFD,
    "deleted": Flag.DELETED,
    "unreadable": Flag.UNREADABLE,
    "agent": Flag.AGENT,
    "call-root": Flag.CALL_ROOT,
}
"""A record's flags in words."""

# kind, category, type, action
_EVENT: Final[dict[int, tuple[str, list[str], list[str], str]]] = {
    Kind.FORK: ("event", ["process"], ["start"], "fork"),
    Kind.EXEC: ("event", ["process"], ["start"], "exec"),
    Kind.SEED: ("event", ["process"], ["info"], "running"),
    Kind.EXIT: ("event", ["process"], ["end"], "exit"),
    Kind.CONNECT: ("event", ["network"], ["connection", "start"], "connect"),
    Kind.SEND: ("event", ["network"], ["connection", "start"], "send"),
    Kind.GPU_OPEN: ("event", ["host"], ["access"], "gpu-open"),
    Kind.GPU_USE: ("event", ["host"], ["access"], "gpu-use"),
    Kind.GPU_SUMMARY: ("event", ["host"], ["info"], "gpu-summary"),
    Kind.EXECUTABLE: ("state", ["file"], ["info"], "executable-facts"),
    Kind.SESSION: ("state", ["session"], ["start"], "session"),
    Kind.TOOL_CALL: ("state", ["session"], ["info"], "tool-call"),
    Kind.START: ("state", ["host"], ["start"], "auditor-start"),
    Kind.LOSS: ("pipeline_error", ["host"], ["error"], "loss"),
    Kind.TICK: ("metric", ["host"], ["info"], "tick"),
    Kind.END: ("state", ["host"], ["end"], "auditor-end"),
}
ACTIONS: Final = {kind: words[3] for kind, words in _EVENT.items()}
"""`event.action` of each kind of record."""


def event_part(kind: int) -> Document:
    """Return the `event` object of a kind."""
    what, category, types, action = _EVENT[kind]
    return {"kind": what, "category": category, "type": types, "action": action}


def category(kind: int) -> list[str]:
    """Return `event.category` of a kind."""
    return _EVENT[kind][1]


def filled(**fields: Any) -> Document:
    """Return the fields that are not empty; zero and False are not empty."""
    return {name: value for name, value in fields.items() if value not in (None, "", (), [], {})}


def name_of(process: Process) -> str:
    """Return the last part of the executable's path; without one, the name that the kernel has."""
    return process.executable.rpartition("/")[2] or process.comm


def flag_words(flags: int) -> list[str]:
    """Return a record's flags in words."""
    return [word for word, bit in FLAGS.items() if flags & bit]


def node(process: Process) -> Document:
    """Return a process as it stands in an alert's tree."""
    part: Document = {"pid": process.task.tgid, "entity_id": process.entity_id}
    part.update(filled(executable=process.executable, args=process.args))
    if process.elided:
        part["elided"] = process.elided
    return part


def user_part(process: Process) -> Document:
    """Return the `user` object, empty where the user is not known."""
    if process.uid < 0:
        return {}
    part: Document = {"id": str(process.uid), "group": {"id": str(process.gid)}}
    if process.euid != process.uid:
        part["effective"] = {"id": str(process.euid)}
    return part


def charged_part(process: Process) -> Document:
    """Return `session` and `tool_call`, to be merged into `auditor`."""
    part: Document = {}
    if process.session is not None:
        part["session"] = {"id": process.session.id}
    call = process.call
    if call is not None:
        # The call's task id, in the form of an entity id of the same boot.
        boot = process.entity_id.partition(".")[0]
        part["tool_call"] = {"id": call.id, "entity_id": f"{boot}.{call.task.tgid}.{call.task.start_ns}"}
    return part


def file_part(event: Exec | Executable) -> Document:
    """Return what identifies an executable file, in `auditor.executable`."""
    return {"device": event.dev, "inode": event.ino, "size": event.size, "ctime_ns": event.ctime_ns}


def facts_part(facts: Executable) -> Document:
    """Return what is known about an executable file, in `auditor.executable`."""
    return filled(
        status=facts.status,
        format=facts.format,
        libraries=facts.libraries,
        marks=facts.marks,
        build_id=facts.build_id,
        language=facts.language,
        static=facts.static or None,
        interpreter=facts.interpreter,
    )


def executable_part(event: Exec, facts: Executable | None) -> Document:
    """Return `auditor.executable` of an exec: the file, and what is known about it by now."""
    part = file_part(event) if event.ino else {}
    if event.ino:
        part.update(mtime_ns=event.mtime_ns, mode=event.mode, links=event.nlink)
    if event.flags & Flag.MEMFD:
        part["memfd"] = True
    if event.flags & Flag.DELETED:
        part["deleted"] = True
    return part | facts_part(facts) if facts is not None else part


def network_part(event: Connect) -> tuple[Document, Document]:
    """Return the top-level objects of a connection, and those below `auditor`."""
    kind = "ipv6" if ":" in event.ip else "ipv4"
    network = {"transport": event.transport, "type": kind, "direction": "egress"}
    destination = filled(ip=event.ip, port=event.port)
    return {"destination": destination, "network": network}, {"destination": {"scope": event.scope}}


def gpu_part(event: GpuOpen | GpuUse | GpuSummary) -> tuple[Document, Document]:
    """Return the top-level objects of an event about a GPU, and those below `auditor`."""
    gpu: Document = {"role": event.role}
    if isinstance(event, GpuOpen):
        gpu["access"] = event.access.split(",") if event.access else []
    elif isinstance(event, GpuUse):
        gpu.update(requests=[event.request], result=event.result)
    else:
        gpu.update(
            requests=[request for request, _ in event.requests],
            counts=[{"request": request, "count": count} for request, count in event.requests],
            interval_ns=event.interval_ns,
            total=event.total,
            errors=event.errors,
        )
    return {"device": {"id": event.device}}, {"gpu": gpu}


def exit_part(event: Exit) -> Document:
    """Return how a process ended, to be merged into `process`: a signal's number counts from 128, as shells do."""
    signal = event.status & 0x7F
    return {"exit_code": 128 + signal if signal else event.status >> 8 & 0xFF}


def deed_part(event: Event) -> tuple[Document, Document]:
    """Return what an event of any kind was done to: top-level objects, and those below `auditor`."""
    if isinstance(event, Connect):
        return network_part(event)
    if isinstance(event, GpuOpen | GpuUse | GpuSummary):
        return gpu_part(event)
    if isinstance(event, Executable):
        return {}, {"executable": {**file_part(event), **facts_part(event)}}
    return {}, {}

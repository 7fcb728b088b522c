"""ECS documents back to events, so that archived events can be judged again by newer rules.

Our own documents (`--events all`) hold everything but the environment. Others may hold as little as a time, an action,
a pid and an executable; what is missing is made up so that lineage works: a task id for each life of a pid, a session
and a tool call for each of their names.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from auditor.decode.document import Document
from auditor.decode.files import Files
from auditor.decode.identities import Identities, Who
from auditor.decode.scope import scope, unmapped
from auditor.errors import CaptureError
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
    Start,
    Tick,
)
from auditor.model.records import Flag, Kind

_ACTIONS: Final = {
    "fork": Kind.FORK,
    "exec": Kind.EXEC,
    "running": Kind.SEED,
    "exit": Kind.EXIT,
    "end": Kind.EXIT,
    "connect": Kind.CONNECT,
    "connection-attempted": Kind.CONNECT,
    "send": Kind.SEND,
    "gpu-open": Kind.GPU_OPEN,
    "gpu-use": Kind.GPU_USE,
    "gpu-summary": Kind.GPU_SUMMARY,
    "executable-facts": Kind.EXECUTABLE,
    "session": Kind.SESSION,
    "tool-call": Kind.TOOL_CALL,
    "auditor-start": Kind.START,
    "loss": Kind.LOSS,
    "tick": Kind.TICK,
    "auditor-end": Kind.END,
}
_FLAGS: Final = {
    "argv-truncated": Flag.ARGV_TRUNCATED,
    "env-truncated": Flag.ENV_TRUNCATED,
    "path-truncated": Flag.PATH_TRUNCATED,
    "memfd": Flag.MEMFD,
    "deleted": Flag.DELETED,
    "unreadable": Flag.UNREADABLE,
    "agent": Flag.AGENT,
    "call-root": Flag.CALL_ROOT,
}
_OWN_LOSSES: Final = "lineage."
"""What the process table had no room for: the table of the replay counts for itself."""


def read_documents(lines: Iterable[bytes | str]) -> Iterator[Event]:
    """Yield the events of JSON lines. CaptureError for a line that cannot be read, with its number."""
    return DocumentReader().read(lines)


class DocumentReader:
    """Reads JSON lines; remembers who is who between them."""

    def __init__(self, name: str = "") -> None:
        """`name` is the file's, for errors."""
        self._place = f"{name} line" if name else "line"
        self._offset_ns = 0
        self._who = Identities()
        self._files = Files()
        self._connections = 0
        self.skipped: Counter[str] = Counter()
        """Documents passed over, by action."""
        self.cut = False
        """The last line is the beginning of a document."""

    def read(self, lines: Iterable[bytes | str]) -> Iterator[Event]:
        """Yield the events of the lines, in order.

        Raises:
            CaptureError: a line that cannot be read, with its number and what is wrong.

        """
        numbered = enumerate(lines, 1)
        for number, line in numbered:
            stripped = line.strip()
            if not stripped:
                continue
            try:
                yield from self._events(Document(stripped))
            except ValueError as error:
                if _is_unfinished(line, error) and next(numbered, None) is None:
                    self.cut = True
                    return
                raise CaptureError(f"{self._place} {number}: {error}") from None

    def _events(self, document: Document) -> Iterator[Event]:
        if document.value("event.kind") == "alert":
            return
        kind = _kind(document)
        if kind is None:
            self.skipped[document.text("event.action") or "no action"] += 1
            return
        time_ns = document.time_ns() - (0 if kind == Kind.START else self._offset_ns)
        stream = self._of_the_stream(kind, time_ns, document)
        if stream is not None:
            yield stream
            return
        who = self._who.identify(kind, time_ns, document)
        yield from who.news
        if kind not in {Kind.SESSION, Kind.TOOL_CALL}:
            yield from self._deed(kind, who, document)

    # What is about the stream.

    def _of_the_stream(self, kind: int, time_ns: int, document: Document) -> Event | None:
        if kind == Kind.START:
            return self._start(time_ns, document)
        head = _stream_header(kind, time_ns)
        if kind == Kind.EXECUTABLE:
            return self._files.told(head, document)
        if kind == Kind.LOSS:
            counts = document.counts("auditor.loss", "what")
            return Loss._make((*head, tuple(pair for pair in counts if not pair[0].startswith(_OWN_LOSSES))))
        if kind == Kind.TICK:
            return Tick._make((*head, document.number("auditor.cpu_ns"), document.number("auditor.tracked")))
        if kind == Kind.END:
            return End._make((*head, document.text("auditor.end.reason")))
        return None

    def _start(self, wall_ns: int, document: Document) -> Start:
        self._offset_ns = document.number("auditor.stream.wall_offset_ns")
        self._who = Identities()  # another boot, or another start of the auditor: pids mean something else
        head = _stream_header(Kind.START, wall_ns - self._offset_ns)
        paths = ("host.boot.id", "host.hostname", "host.os.kernel", "agent.version")
        return Start._make((*head, self._offset_ns, *map(document.text, paths)))

    # What processes do.

    def _deed(self, kind: int, who: Who, document: Document) -> Iterator[Event]:
        head = who.header
        if kind == Kind.FORK:
            yield Fork._make((*head, *_parent(who), who.parent.tgid if who.parent else 0, _comm(document)))
            return
        if kind in {Kind.EXEC, Kind.SEED}:
            yield from self._exec(who, document)
            return
        if who.is_new and (document.value("process.executable") or document.value("process.args")):
            seed = Who((Kind.SEED, *head[1:]), who.parent, is_new=True, news=())
            yield from self._exec(seed, document)
        if kind == Kind.EXIT:
            yield Exit._make((*head, _status(document)))
        elif kind in {Kind.CONNECT, Kind.SEND}:
            yield self._connect(head, document)
        else:
            yield _gpu(kind, head, document)

    def _exec(self, who: Who, document: Document) -> Iterator[Event]:
        head, about = who.header, "auditor.process."
        flags = sum(_FLAGS.get(word, 0) for word in set(document.texts(about + "flags")))
        args = document.texts("process.args")
        if not args and document.value("process.command_line"):
            args = tuple(document.text("process.command_line").split())
        executable = document.text("process.executable") or document.text("process.name")
        file, news = self._files.ran(_stream_header(Kind.EXECUTABLE, head[3]), document)
        yield from news
        uid = document.number("user.id", -1)
        gid = document.number("user.group.id", -1)
        values: dict[str, Any] = {
            "flags": head[1] | flags,
            "uid": uid,
            "gid": gid,
            "euid": document.number("user.effective.id", uid),
            "egid": document.number(about + "egid", gid),
            "pgid": document.number(about + "pgid"),
            "sid": document.number(about + "sid"),
            "ns_tgid": document.number(about + "ns_pid"),
            "pid_ns": document.number(about + "pid_ns"),
            "mnt_ns": document.number(about + "mnt_ns"),
            "net_ns": document.number(about + "net_ns"),
            "dev": file.dev,
            "cgroup_id": document.number(about + "cgroup_id"),
            "ino": file.ino,
            "size": file.size,
            "mtime_ns": document.number("auditor.executable.mtime_ns"),
            "ctime_ns": file.ctime_ns,
            "mode": document.number("auditor.executable.mode"),
            "nlink": document.number("auditor.executable.links"),
            "argv_total": document.number(about + "argv_bytes"),
            "env_total": document.number(about + "env_bytes"),
            "comm": _comm(document),
            "tty": document.text(about + "tty"),
            "executable": executable,
            "cwd": document.text("process.working_directory"),
            "args": args,
            "env": document.texts("process.env_vars"),
        }
        header = dict(zip(Exec._fields, (*head, *_parent(who)), strict=False))
        yield Exec(**{**header, **values})

    def _connect(self, head: tuple[int, ...], document: Document) -> Connect:
        ip = document.text("destination.ip")
        if ip:
            try:
                ip = unmapped(ipaddress.ip_address(ip))
            except ValueError:
                raise ValueError("destination.ip is no address") from None
        self._connections += 1
        cookie = document.number("auditor.socket.cookie", self._connections)
        port = document.number("destination.port")
        transport = document.text("network.transport").lower() or "tcp"
        return Connect._make((*head, cookie, ip, port, transport, scope(ip)))


def _kind(document: Document) -> int | None:
    """Tell which kind of record a document stands for: by its action, else by category and type."""
    actions = [action.lower().replace("_", "-") for action in document.texts("event.action")]
    for action in actions:
        if action in _ACTIONS and not (action == "fork" and "exec" in actions):
            return _ACTIONS[action]
    categories, types = document.texts("event.category"), document.texts("event.type")
    if "process" in categories:
        return Kind.EXEC if "start" in types else Kind.EXIT if "end" in types else None
    if "network" in categories and "connection" in types and "end" not in types:
        return Kind.CONNECT
    return None


def _is_unfinished(line: bytes | str, error: ValueError) -> bool:
    """Tell whether this may be a document that was being written when its writer died."""
    return str(error).startswith("not JSON") and line[-1:] not in {"\n", b"\n"}


def _stream_header(kind: int, time_ns: int) -> tuple[int, ...]:
    return (kind, 0, 0, time_ns, 0, 0, 0, 0, 0, 0)


def _parent(who: Who) -> tuple[int, int]:
    return (who.parent.start_ns, who.parent.tgid) if who.parent else (0, 0)


def _comm(document: Document) -> str:
    return document.text("process.thread.name") or document.text("process.name")[:15]


def _status(document: Document) -> int:
    """Return a wait(2) status. A code above 128 alone is no proof of a signal: programs may exit with it themselves."""
    signal = document.number("auditor.exit.signal")
    return signal or document.number("process.exit_code") << 8


def _gpu(kind: int, head: tuple[int, ...], document: Document) -> Event:
    device, role = document.text("device.id"), document.text("auditor.gpu.role")
    if kind == Kind.GPU_OPEN:
        return GpuOpen._make((*head, device, role, ",".join(document.texts("auditor.gpu.access"))))
    if kind == Kind.GPU_USE:
        request = next(iter(document.texts("auditor.gpu.requests")), "")
        return GpuUse._make((*head, device, role, request, document.number("auditor.gpu.result")))
    numbers = (document.number("auditor.gpu." + name) for name in ("interval_ns", "total", "errors"))
    return GpuSummary._make((*head, device, role, *numbers, document.counts("auditor.gpu.counts", "request")))

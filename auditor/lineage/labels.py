"""Sessions and tool calls: what a record's label stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from auditor.model.events import Event, Session, ToolCall
from auditor.model.processes import Process, SessionInfo, ToolCallInfo
from auditor.model.records import Flag, TaskId

SESSION_LIMIT: Final = 1024
CALL_LIMIT: Final = 16_384
TICK_NS: Final = 10_000_000
"""/proc tells a start time in ticks of 10 ms (USER_HZ is 100 on every architecture that Linux still has)."""

_Key = TypeVar("_Key")
_Info = TypeVar("_Info")


class Labels:
    """Sessions by number and tool calls by their first process's task id, to the tick.

    A call whose first process was found in /proc is named by the tick in some records and exactly in others.

    Both tables are bounded: the ones that were not used for longest are forgotten, and counted. Processes keep what
    they were given; only a later process of a forgotten call or session gets it under its default name.
    """

    def __init__(
        self,
        entity_id: Callable[[int, int], str],
        session_limit: int = SESSION_LIMIT,
        call_limit: int = CALL_LIMIT,
    ) -> None:
        self._entity_id = entity_id
        self._session_limit = session_limit
        self._call_limit = call_limit
        self._sessions: dict[int, SessionInfo] = {}
        self._calls: dict[tuple[int, int], ToolCallInfo] = {}
        self.forgotten = 0

    def clear(self) -> None:
        """Forget everything."""
        self._sessions.clear()
        self._calls.clear()

    def name_session(self, event: Session) -> None:
        """Give a session its name, root and selector."""
        root = TaskId(event.tgid, event.start_ns)
        info = self._session(event.session, root, event.time_ns)
        info.root = root
        info.id = event.id or self._entity_id(*root)
        info.selector = event.selector

    def name_call(self, event: ToolCall) -> ToolCallInfo:
        """Give a tool call its name."""
        labelled = (event.call_tgid, event.call_start_ns)
        task = TaskId(*labelled) if event.call_tgid else TaskId(event.tgid, event.start_ns)
        info = self._call(task, self._session(event.session, task, event.time_ns))
        info.id = event.id or self._entity_id(*task)
        return info

    def apply(self, process: Process, event: Event) -> None:
        """Label a process as its record says; where the record has no label, as its parent."""
        parent = process.parent
        process.label_source = event.label_source
        if parent is not None and not event.flags & Flag.CALL_ROOT and _repeats(parent, event):
            process.session, process.call = parent.session, parent.call  # as nearly all do
            return
        if event.session or event.call_tgid:
            self._follow(process, parent, event)
        elif parent is not None:
            process.session, process.call = parent.session, parent.call
            process.label_source = event.label_source or parent.label_source
        call = process.call
        process.call_root = call is not None and (process.task == call.task or bool(event.flags & Flag.CALL_ROOT))
        if call is not None and process.call_root and call.first is None:
            call.first = process

    def _follow(self, process: Process, parent: Process | None, event: Event) -> None:
        if parent is not None and parent.session is not None and parent.session.number == event.session:
            process.session = parent.session
        else:
            process.session = self._session(event.session, _top(process), event.time_ns)
        if event.flags & Flag.AGENT or not event.call_tgid:
            process.call = None
        elif parent is not None and parent.call is not None and _is_same(parent.call.task, event):
            process.call = parent.call
        else:
            process.call = self._call(TaskId(event.call_tgid, event.call_start_ns), process.session)

    def _session(self, number: int, root: TaskId, time_ns: int) -> SessionInfo:
        info = self._sessions.pop(number, None) or SessionInfo(number, self._entity_id(*root), root, "", time_ns)
        self.forgotten += _put(self._sessions, number, info, self._session_limit)
        return info

    def _call(self, task: TaskId, session: SessionInfo) -> ToolCallInfo:
        key = (task.tgid, task.start_ns // TICK_NS)
        info = self._calls.pop(key, None) or ToolCallInfo(task, self._entity_id(*task), session, task.start_ns)
        self.forgotten += _put(self._calls, key, info, self._call_limit)
        return info


def _put(table: dict[_Key, _Info], key: _Key, info: _Info, limit: int) -> int:
    """Add as the most recently used; return how many old ones had to go."""
    table[key] = info
    if len(table) <= limit:
        return 0
    del table[next(iter(table))]
    return 1


def _repeats(parent: Process, event: Event) -> bool:
    session, call = parent.session, parent.call
    return (
        session is not None
        and call is not None
        and session.number == event.session
        and call.task == (event.call_tgid, event.call_start_ns)
    )


def _is_same(task: TaskId, event: Event) -> bool:
    return task.tgid == event.call_tgid and task.start_ns // TICK_NS == event.call_start_ns // TICK_NS


def _top(process: Process) -> TaskId:
    while process.parent is not None:
        process = process.parent
    return process.task

"""Who is who in a stream of documents: task ids, sessions and tool calls, read where they stand, else made up."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from auditor.decode.document import Document
from auditor.model.events import Event, Session, ToolCall
from auditor.model.records import Flag, Kind, LabelSource, TaskId

_LIMIT: Final = 65_536
_ENTITY: Final = re.compile(r"[0-9A-Za-z]{1,8}\.(\d{1,10})\.(\d{1,19})")
_LABEL_SOURCES: Final = {
    "none": LabelSource.NONE,
    "seeded": LabelSource.SEEDED,
    "selected": LabelSource.SELECTED,
    "inherited": LabelSource.INHERITED,
    "registered": LabelSource.REGISTERED,
}


class Who(NamedTuple):
    """Whom a document is about."""

    header: tuple[int, ...]
    """The ten values that every event opens with."""
    parent: TaskId | None
    is_new: bool
    """No document was about this process before."""
    news: tuple[Event, ...]
    """Names of sessions and calls that this document is the first to mention."""


class _Life(NamedTuple):
    task: TaskId
    parent_pid: int


class Identities:
    """Tells who a document is about.

    An entity id of our own form is taken as it stands. Else a pid is one process from where it is first met to its
    exit; a fork, or an exec below another parent, is another process with the same pid.
    """

    def __init__(self) -> None:
        self._lives: dict[int, _Life] = {}
        self._latest = 0
        self._labelled: dict[TaskId, bool] = {}
        """Processes met so far: does each have a label, its own or an ancestor's?"""
        self._sessions: dict[str, int] = {}
        self._calls: dict[tuple[int, str], TaskId] = {}

    def identify(self, kind: int, time_ns: int, document: Document) -> Who:
        """Return whom the document is about. ValueError where it says nothing that could tell."""
        parent = self._parent(time_ns, document)
        task = self._task(kind, time_ns, document)
        is_new = task not in self._labelled
        news: list[Event] = []
        label = self._label(kind, time_ns, task, parent, document, news)
        has_label = bool(label[1]) or self._labelled.get(task, False) or self._labelled.get(parent or task, False)
        _remember(self._labelled, task, has_label)
        if kind == Kind.EXIT and self._lives.get(task.tgid, _Life(task, 0)).task == task:
            self._lives.pop(task.tgid, None)
        header = (kind, label[0], task.tgid, time_ns, task.start_ns, task.tgid, *label[1:])
        return Who(header, parent, is_new, tuple(news))

    def _task(self, kind: int, time_ns: int, document: Document) -> TaskId:
        exact = _parse(document.text("process.entity_id"))
        if exact is None and kind == Kind.TOOL_CALL:
            exact = _parse(document.text("auditor.tool_call.entity_id"))
        if exact is not None:
            _remember(self._lives, exact.tgid, _Life(exact, document.number("process.parent.pid")))
            return exact
        pid = document.number("process.pid", -1)
        if not 0 <= pid < 1 << 32:
            raise ValueError("no process.pid" if pid == -1 else "process.pid is out of range")
        life = self._lives.get(pid)
        parent_pid = document.number("process.parent.pid")
        if life is None or kind == Kind.FORK or (kind == Kind.EXEC and _is_another(life.parent_pid, parent_pid)):
            life = self._live(pid, parent_pid, time_ns)
        elif parent_pid and not life.parent_pid:
            _remember(self._lives, pid, _Life(life.task, parent_pid))
        return life.task

    def _parent(self, time_ns: int, document: Document) -> TaskId | None:
        exact = _parse(document.text("process.parent.entity_id"))
        if exact is not None:
            return exact
        pid = document.number("process.parent.pid")
        if not 0 < pid < 1 << 32:
            return None
        life = self._lives.get(pid) or self._live(pid, 0, time_ns)
        return life.task

    def _live(self, pid: int, parent_pid: int, time_ns: int) -> _Life:
        # Start times of lives made up here differ from one another, also where times are known to the millisecond only.
        self._latest = max(time_ns, self._latest + 1, 1)
        life = _Life(TaskId(pid, self._latest), parent_pid)
        _remember(self._lives, pid, life)
        return life

    def _label(
        self,
        kind: int,
        time_ns: int,
        task: TaskId,
        parent: TaskId | None,
        document: Document,
        news: list[Event],
    ) -> tuple[int, int, int, int, int]:
        """Return flags, session, call_start_ns, call_tgid and label_source."""
        session_id = document.text("auditor.session.id")
        call_id, entity = document.text("auditor.tool_call.id"), document.text("auditor.tool_call.entity_id")
        word = document.text("auditor.label_source")
        if not (session_id or call_id or entity):
            return (0, 0, 0, 0, _LABEL_SOURCES.get(word, LabelSource.NONE))
        is_call = bool(call_id or entity)
        if not is_call and not word and kind != Kind.SESSION and self._inherits(task, parent):
            return (0, 0, 0, 0, LabelSource.NONE)  # a document that is not ours and does not repeat the call
        source = _LABEL_SOURCES.get(word, LabelSource.REGISTERED)
        root = task if not is_call or parent is None else parent
        session = self._session(kind, time_ns, session_id, root, document, news)
        if not is_call:
            return (Flag.AGENT, session, 0, 0, source)
        call = self._call(time_ns, session, call_id or entity, _parse(entity) or task, news)
        return (Flag.CALL_ROOT if call == task else 0, session, call.start_ns, call.tgid, source)

    def _inherits(self, task: TaskId, parent: TaskId | None) -> bool:
        return self._labelled.get(task, False) or (parent is not None and self._labelled.get(parent, False))

    def _session(self, kind: int, time_ns: int, id: str, root: TaskId, document: Document, news: list[Event]) -> int:
        number = self._sessions.get(id)
        if number is not None and kind != Kind.SESSION:
            return number
        number = number or len(self._sessions) + 1
        _remember(self._sessions, id, number)
        head = (Kind.SESSION, 0, root.tgid, time_ns, root.start_ns, root.tgid, number, 0, 0, LabelSource.NONE)
        values: tuple[Any, ...] = (id, document.text("auditor.session.selector"))
        news.append(Session._make((*head, *values)))
        return number

    def _call(self, time_ns: int, session: int, id: str, first: TaskId, news: list[Event]) -> TaskId:
        known = self._calls.get((session, id))
        if known is not None:
            return known
        _remember(self._calls, (session, id), first)
        if _parse(id) == first:
            return first  # its default name, which lineage gives it anyway
        head = (
            Kind.TOOL_CALL,
            0,
            first.tgid,
            time_ns,
            first.start_ns,
            first.tgid,
            session,
            first.start_ns,
            first.tgid,
            0,
        )
        values: tuple[Any, ...] = (id,)
        news.append(ToolCall._make((*head, *values)))
        return first


def _parse(entity_id: str) -> TaskId | None:
    match = _ENTITY.fullmatch(entity_id)
    return TaskId(int(match[1]), int(match[2])) if match else None


def _is_another(known: int, told: int) -> bool:
    return bool(known and told and known != told)


def _remember(table: dict[Any, Any], key: object, value: object) -> None:
    """Keep as the latest of a bounded number."""
    table.pop(key, None)
    table[key] = value
    if len(table) > _LIMIT:
        del table[next(iter(table))]

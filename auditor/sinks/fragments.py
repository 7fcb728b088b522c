"""Processes rendered: pieces of JSON that are the same in many documents, each rendered once and kept for a while.

A piece without braces of its own is a run of members (`"pid":1,"name":"x"`), so that pieces can be put side by side.
Every text goes through orjson, which escapes it.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import orjson

from auditor.model.events import Exec, Executable
from auditor.model.processes import Process
from auditor.model.records import Flag
from auditor.sinks import ecs

_LIMIT: Final = 1024
_IMAGE_KIND: Final = Flag.MEMFD | Flag.DELETED
_Key = TypeVar("_Key")


def _keep(cache: dict[_Key, bytes], key: _Key, rendered: bytes) -> bytes:
    if len(cache) >= _LIMIT:
        cache.clear()
    cache[key] = rendered
    return rendered


def members(part: dict[str, Any]) -> bytes:
    """Render an object without its braces."""
    return orjson.dumps(part)[1:-1]


class Fragments:
    """Renders processes; remembers what it rendered, in bounded caches."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, str], bytes] = {}
        self._texts: dict[str, bytes] = {}
        self._parents: dict[tuple[str, int], bytes] = {}
        self._parent_images: dict[tuple[str, int], bytes] = {}
        self._users: dict[tuple[int, int, int], bytes] = {}
        self._labels: dict[tuple[object, ...], bytes] = {}
        self._files: dict[tuple[object, ...], bytes] = {}
        self._places: dict[tuple[object, ...], bytes] = {}

    def acting(self, process: Process) -> bytes:
        """Render what every event says of its process: `process`, `user`, and `auditor` left open.

        Kept in `process.document`.
        """
        rendered = process.document = b'"process":{%b%b},%b"auditor":{%b' % (
            self._self(process),
            self._parent(process),
            self._user(process),
            self._label(process),
        )
        return rendered

    def running(self, process: Process) -> bytes:
        """Render a process with what it runs, as an alert has it: the members of `process`."""
        return b"%b%b%b" % (self._self(process), self._running(process), self._parent_with_image(process))

    def executed(self, event: Exec, process: Process) -> bytes:
        """Render an exec: `process`, `user` and `auditor`, all closed. Keeps what later events of the process need."""
        own, user, label = self._self(process), self._user(process), self._label(process)
        process.document = b'"process":{%b%b},%b"auditor":{%b' % (own, self._parent(process), user, label)
        return b'"process":{%b%b%b},%b"auditor":{%b%b%b}' % (
            own,
            self._running(process),
            self._parent_with_image(process),
            user,
            label,
            self._about(event),
            self._file(event, process.facts),
        )

    def _self(self, process: Process) -> bytes:
        key = (process.executable, process.comm)
        image = self._images.get(key)
        if image is None:
            name = ecs.name_of(process)
            thread = {"name": process.comm} if process.comm != name[:15] else None
            part = ecs.filled(executable=process.executable, name=name, thread=thread)
            image = _keep(self._images, key, b"," + members(part) if part else b"")
        return b'"pid":%d,"entity_id":%b%b' % (process.task[0], orjson.dumps(process.entity_id), image)

    def _parent(self, process: Process) -> bytes:
        parent = process.parent
        if parent is None or process.elided:
            return b',"parent":{"pid":%d}' % process.parent_tgid if process.parent_tgid else b""
        key = (parent.entity_id, 0)
        return self._parents.get(key) or _keep(self._parents, key, b',"parent":{%b}' % _identity(parent))

    def _parent_with_image(self, process: Process) -> bytes:
        parent = process.parent
        if parent is None or process.elided:
            return self._parent(process)
        key = (parent.entity_id, parent.exec_count)  # what a process runs changes with its execs
        rendered = self._parent_images.get(key)
        if rendered is None:
            part = ecs.filled(executable=parent.executable, name=ecs.name_of(parent), command_line=parent.command_line)
            image = b"," + members(part) if part else b""
            rendered = _keep(self._parent_images, key, b',"parent":{%b%b}' % (_identity(parent), image))
        return rendered

    def _running(self, process: Process) -> bytes:
        args, rendered = process.args, b""
        if args:
            line = orjson.dumps(process.command_line)
            rendered = b',"args":%b,"args_count":%d,"command_line":%b' % (orjson.dumps(args), len(args), line)
        if process.cwd:
            cwd = self._texts.get(process.cwd) or _keep(self._texts, process.cwd, orjson.dumps(process.cwd))
            return b'%b,"working_directory":%b' % (rendered, cwd)
        return rendered

    def _user(self, process: Process) -> bytes:
        key = (process.uid, process.gid, process.euid)
        rendered = self._users.get(key)
        if rendered is None:
            part = ecs.user_part(process)
            rendered = _keep(self._users, key, b'"user":%b,' % orjson.dumps(part) if part else b"")
        return rendered

    def _label(self, process: Process) -> bytes:
        session, call = process.session, process.call
        key: tuple[object, ...]
        if call is None:
            key = (process.label_source, session and session.id)
        else:
            key = (process.label_source, session and session.id, call.id, call.task)
        rendered = self._labels.get(key)
        if rendered is None:
            part = {"label_source": ecs.LABEL_SOURCES.get(process.label_source, "none")}
            rendered = _keep(self._labels, key, members({**part, **ecs.charged_part(process)}))
        return rendered

    def _about(self, event: Exec) -> bytes:
        """Render `auditor.process`: what ECS has no words for."""
        rendered = b""
        if event.pid_ns:  # a record of the kernel's; other sources of execs know none of these
            rendered = b',"ns_pid":%d,"pgid":%d,"sid":%d,"argv_bytes":%d,"env_bytes":%d%b' % (
                event.ns_tgid,
                event.pgid,
                event.sid,
                event.argv_total,
                event.env_total,
                self._place(event),
            )
        if event.egid != event.gid:
            rendered += b',"egid":%d' % event.egid
        if event.tty:
            rendered += b',"tty":%b' % orjson.dumps(event.tty)
        if event.flags:
            rendered += b',"flags":%b' % orjson.dumps(ecs.flag_words(event.flags))
        return b',"process":{%b}' % rendered[1:] if rendered else b""

    def _place(self, event: Exec) -> bytes:
        key = (event.pid_ns, event.mnt_ns, event.net_ns, event.cgroup_id)
        rendered = self._places.get(key)
        if rendered is None:
            rendered = _keep(self._places, key, b',"pid_ns":%d,"mnt_ns":%d,"net_ns":%d,"cgroup_id":%d' % key)
        return rendered

    def _file(self, event: Exec, facts: Executable | None) -> bytes:
        # Whatever else is told of a file (its mode, its links) changes its change time too.
        key = (event.dev, event.ino, event.size, event.ctime_ns, event.flags & _IMAGE_KIND, facts is None)
        rendered = self._files.get(key)
        if rendered is None:
            part = ecs.executable_part(event, facts)
            rendered = _keep(self._files, key, b',"executable":%b' % orjson.dumps(part) if part else b"")
        return rendered


def _identity(process: Process) -> bytes:
    return b'"pid":%d,"entity_id":%b' % (process.task[0], orjson.dumps(process.entity_id))

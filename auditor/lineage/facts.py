"""What is known about executable files, and who runs one that nothing is known about yet."""

from __future__ import annotations

from typing import Final, TypeAlias

from auditor.model.events import Exec, Executable
from auditor.model.processes import Process

FACTS_LIMIT: Final = 4096
WAITING_LIMIT: Final = 4096

FileKey: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size in bytes, change time in ns: another content of the same file is another key."""


def file_key(event: Exec | Executable) -> FileKey:
    """Return the key of the file that the event is about."""
    return (event.dev, event.ino, event.size, event.ctime_ns)


class Facts:
    """Facts by file, least recently used ones forgotten first, and the processes that wait for some.

    Processes wait under their file, past their exit: a program that ran for a millisecond is judged too. When too many
    wait, those of the file that came first are given up and counted.
    """

    def __init__(self, limit: int = FACTS_LIMIT, waiting_limit: int = WAITING_LIMIT) -> None:
        self._limit = limit
        self._waiting_limit = waiting_limit
        self._known: dict[FileKey, Executable] = {}
        self._waiting: dict[FileKey, list[Process]] = {}
        self._key: dict[Process, FileKey] = {}
        self._count = 0
        self.given_up = 0
        """Processes that waited and were given up."""

    def attach(self, process: Process, event: Exec) -> None:
        """Give the process that runs a new program the facts about it, or let it wait for them."""
        key = file_key(event)
        facts = self._known.get(key)
        process.facts = facts
        if facts is not None:
            if len(self._known) > self._limit // 2:  # near the limit, the order of use begins to matter
                self._known[key] = self._known.pop(key)
            self._key.pop(process, None)
        elif event.ino:
            self._wait(process, key)
        else:
            self._key.pop(process, None)

    def inherit(self, child: Process, parent: Process) -> None:
        """Let a child that runs its parent's program have its facts, now or when they come."""
        child.facts = parent.facts
        key = self._key.get(parent)
        if key is not None:
            self._wait(child, key)

    def remember(self, event: Executable) -> None:
        """Keep facts for the processes to come."""
        key = file_key(event)
        self._known.pop(key, None)
        self._known[key] = event
        if len(self._known) > self._limit:
            del self._known[next(iter(self._known))]

    def release(self, event: Executable) -> list[Process]:
        """Give facts to all that wait for them. Returns those that ran the file themselves, in order."""
        key = file_key(event)
        waiting = self._waiting.pop(key, [])
        self._count -= len(waiting)
        released = [process for process in waiting if self._key.get(process) == key]
        for process in released:
            process.facts = event
            process.document = None
            self._leave(process)
        return [process for process in released if process.exec_event is not None]

    def _wait(self, process: Process, key: FileKey) -> None:
        if self._key.get(process) == key:
            return
        self._key[process] = key
        self._waiting.setdefault(key, []).append(process)
        self._count += 1
        while self._count > self._waiting_limit:
            oldest = next(iter(self._waiting))
            given_up = self._waiting.pop(oldest)
            self._count -= len(given_up)
            for former in given_up:
                if self._key.get(former) == oldest:
                    self.given_up += 1
                    self._leave(former)

    def _leave(self, process: Process) -> None:
        del self._key[process]

    def waits(self, process: Process) -> bool:
        """Tell whether facts about the process's program are still to come."""
        return process in self._key

"""Ancestors that left the process table and are kept for their descendants' sake, within bounds."""

from __future__ import annotations

from typing import Final

from auditor.model.processes import Process
from auditor.model.records import Flag

KEPT: Final = 16_384
"""Processes kept only as somebody's ancestor."""
CHAIN: Final = 256
"""Ancestors of one process."""

_LANDMARKS: Final = Flag.AGENT | Flag.CALL_ROOT


class Ancestry:
    """Who has children, and which processes are kept only because they have.

    A process that left the table is dropped with its last descendant. When too many are kept, or when a chain grows too
    long, ancestors are left out: their children hang on to the next one up, and count the gap in `elided`. The first
    process of a tool call and the agent itself always stay, for alerts are told from there.
    """

    def __init__(self, kept: int = KEPT, chain: int = CHAIN) -> None:
        self._limit = kept
        self._chain = chain
        self._children: dict[Process, dict[Process, None]] = {}
        self._kept: dict[Process, None] = {}
        self._landmarks: dict[Process, None] = {}
        self.elided = 0
        """Ancestors left out for want of room."""

    def born(self, process: Process) -> None:
        """Take in a process that came into the table below its parent."""
        parent = process.parent
        if parent is None:
            return
        siblings = self._children.get(parent)
        if siblings is None:
            self._children[parent] = {process: None}
        else:
            siblings[process] = None
        if process.depth >= self._chain and process.depth % (self._chain // 4) == 0:
            self._shorten(process)

    def left(self, process: Process) -> None:
        """Take note that a process left the table: keep it while it has descendants."""
        if process not in self._children:
            self._drop(process)
        elif process.call_root or process.flags & _LANDMARKS:
            self._landmarks[process] = None
        else:
            self._kept[process] = None
            if len(self._kept) > self._limit:
                self._leave_out(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget everything."""
        for table in (self._children, self._kept, self._landmarks):
            table.clear()

    def __len__(self) -> int:
        """How many processes are kept only for their descendants."""
        return len(self._kept) + len(self._landmarks)

    def _drop(self, process: Process) -> None:
        """Forget a process without children, and every ancestor that was kept for it alone."""
        parent = process.parent
        while parent is not None:
            siblings = self._children.get(parent, {})
            siblings.pop(process, None)
            if siblings:
                return
            self._children.pop(parent, None)
            if parent in self._kept:
                del self._kept[parent]
            elif parent in self._landmarks:
                del self._landmarks[parent]
            else:
                return
            process, parent = parent, parent.parent

    def _leave_out(self, process: Process) -> None:
        del self._kept[process]
        parent = process.parent
        children = self._children.pop(process, {})
        for child in children:
            child.parent = parent
            child.elided += 1 + process.elided
            child.document = None
        if parent is not None:
            siblings = self._children.setdefault(parent, {})
            siblings.pop(process, None)
            siblings.update(children)
        self.elided += 1

    def _shorten(self, process: Process) -> None:
        """Leave out the middle of a chain: the nearest half and the farthest quarter of the limit stay."""
        chain = []
        above = process.parent
        while above is not None:
            chain.append(above)
            above = above.parent
        if len(chain) >= self._chain:
            for ancestor in chain[self._chain // 2 : -(self._chain // 4)]:
                if ancestor in self._kept:
                    self._leave_out(ancestor)

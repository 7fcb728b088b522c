"""What has to come within a time: remembered until it comes or the time is over, by the events' own clock."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final, NamedTuple

from auditor.rules.windows import Found

LIMIT: Final = 4096
"""Deadlines remembered. Past it the one set first is given up, and counted."""
GRACE_NS: Final = 1_000_000_000
"""How long past its time a deadline waits: events of several processors come in order by no more than this."""
NEVER: Final = 1 << 63


class Deadline(NamedTuple):
    """Something that has to come."""

    due_ns: int
    """Until then, inclusive."""
    rule: int
    group: object
    found: Found


class Deadlines:
    """Deadlines by rule and group: of each one, the first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._open: dict[tuple[int, object], Deadline] = {}
        self._heap: list[tuple[int, int, tuple[int, object]]] = []
        self._number = 0
        self.next_ns = NEVER
        """When `over` has something to give, at the earliest."""
        self.evictions = 0

    def set(self, deadline: Deadline) -> None:
        """Set a deadline, unless its group has one."""
        key = (deadline.rule, deadline.group)
        if key in self._open:
            return
        if len(self._open) >= self._limit:
            del self._open[next(iter(self._open))]
            self.evictions += 1
        self._open[key] = deadline
        self._number += 1
        heappush(self._heap, (deadline.due_ns, self._number, key))
        if len(self._heap) > 2 * self._limit:  # most of them were met long before their time
            self._heap = sorted(entry for entry in self._heap if self._is_open(entry))
        self.next_ns = self._heap[0][0] + GRACE_NS

    def meet(self, rule: int, group: object, time_ns: int) -> None:
        """Take note that what had to come has come."""
        deadline = self._open.get((rule, group))
        if deadline is not None and deadline.found.chain[-1].time_ns <= time_ns <= deadline.due_ns:
            del self._open[rule, group]

    def drop(self, rule: int, group: object) -> None:
        """Wait no longer for a group."""
        self._open.pop((rule, group), None)

    def over(self, time_ns: int) -> list[Deadline]:
        """Give, in order, and forget the deadlines that nothing met by a time of the events' clock."""
        over = []
        while self._heap and self._heap[0][0] + GRACE_NS < time_ns:
            entry = heappop(self._heap)
            if self._is_open(entry):
                over.append(self._open.pop(entry[2]))
        self.next_ns = self._heap[0][0] + GRACE_NS if self._heap else NEVER
        return over

    def _is_open(self, entry: tuple[int, int, tuple[int, object]]) -> bool:
        deadline = self._open.get(entry[2])
        return deadline is not None and deadline.due_ns == entry[0]

"""Counts and sets of matches in a time window that slides with the events, bounded.

Every correlation without an order asks for the *distinct marks* in the window: of `temporal` they are the rules that
matched, of `value_count` the values seen, of `event_count` a number for every match. So one memory serves all three: of
each group and mark the last match.

A window ends with the latest event that its group has seen. What comes late is put in its place, and the window is
asked again; what comes later than the window is long is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, NamedTuple

from auditor.rules.pack import Correlation, Node
from auditor.rules.sequences import Chain, Moment

GROUP_LIMIT: Final = 64
"""Marks remembered for one group; of a correlation that counts further, twice the number it counts to."""
MEMORY_LIMIT: Final = 4096
"""Marks remembered for one correlation over all groups; more where a group alone needs more."""
COUNT_LIMIT: Final = 10_000
"""What a rule may count to."""
EVIDENCE_LIMIT: Final = 16
"""Matches that an alert shows: the first, and the last ones."""

COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
    "eq": eq,
    "neq": ne,
}


class Found(NamedTuple):
    """Matches that together are one of a correlation, in order of time."""

    stages: tuple[str, ...]
    """The rule that each of them matched."""
    chain: Chain


class _Mark(NamedTuple):
    time_ns: int
    rule: str
    moment: Moment


class Window:
    """What one correlation remembers, in every group."""

    def __init__(self, rule: Correlation, limit: int = MEMORY_LIMIT) -> None:
        self._rule = rule
        self._span_ns = rule.span_ns
        self._counts = rule.kind == "event_count"
        self._group_limit = max(GROUP_LIMIT, 2 * rule.count)
        self._limit = max(limit, 2 * self._group_limit)
        self._groups: dict[object, dict[object, _Mark]] = {}
        self._size = 0
        self._number = 0
        self.evictions = 0
        """Matches forgotten for want of room."""

    def add(self, group: object, mark: object, rule: str, moment: Moment) -> Found | None:
        """Take in a match; gives the matches that make the condition hold in its group's window, if it does."""
        if self._counts:
            self._number += 1
            mark = self._number
        marks = self._groups.pop(group, None)
        if marks is None:
            marks = {}
        self._groups[group] = marks  # the group used last stands last
        now_ns = moment.time_ns
        newest = marks[next(reversed(marks))].time_ns if marks else now_ns
        if now_ns >= newest:
            self._put(marks, mark, _Mark(now_ns, rule, moment))
            newest = now_ns
        elif not self._put_late(marks, mark, _Mark(now_ns, rule, moment), newest):
            return None
        self._trim(marks, newest - self._span_ns)
        return self._found(marks) if self._holds(marks) else None

    def reset(self, group: object) -> None:
        """Forget a group."""
        self._size -= len(self._groups.pop(group, ()))

    def _put(self, marks: dict[object, _Mark], mark: object, item: _Mark) -> None:
        if marks.pop(mark, None) is None:
            self._size += 1
        marks[mark] = item

    def _put_late(self, marks: dict[object, _Mark], mark: object, item: _Mark, newest_ns: int) -> bool:
        """Put a match among later ones; tells whether it says anything new."""
        known = marks.get(mark)
        if item.time_ns < newest_ns - self._span_ns or (known is not None and known.time_ns >= item.time_ns):
            return False
        self._put(marks, mark, item)
        ordered = sorted(marks.items(), key=lambda pair: pair[1].time_ns)
        marks.clear()
        marks.update(ordered)
        return True

    def _trim(self, marks: dict[object, _Mark], earliest_ns: int) -> None:
        """Drop what left the window, then what there is no room for: of a full group its own, else of any."""
        while marks[mark := next(iter(marks))].time_ns < earliest_ns:
            del marks[mark]
            self._size -= 1
        if len(marks) > self._group_limit:
            self._evict(marks)
        if self._size > self._limit:
            oldest, others = next(iter(self._groups.items()))
            if others[next(reversed(others))].time_ns < earliest_ns:
                self.reset(oldest)  # out of every window: no loss
                return
            self._evict(others)
            if not others:
                del self._groups[oldest]

    def _evict(self, marks: dict[object, _Mark]) -> None:
        del marks[next(iter(marks))]
        self._size -= 1
        self.evictions += 1

    def _holds(self, marks: dict[object, _Mark]) -> bool:
        if self._rule.condition is not None:
            return _is_true(self._rule.condition, marks)
        return COMPARISONS[self._rule.op](len(marks), self._rule.count)

    def _found(self, marks: dict[object, _Mark]) -> Found:
        items = list(marks.values())
        if len(items) > EVIDENCE_LIMIT:
            items = [items[0], *items[1 - EVIDENCE_LIMIT :]]
        return Found(tuple(item.rule for item in items), tuple(item.moment for item in items))


def _is_true(node: Node, marks: dict[object, Any]) -> bool:
    match node[0]:
        case "rule":
            return node[1] in marks
        case "and":
            return all(_is_true(part, marks) for part in node[1:])
        case "or":
            return any(_is_true(part, marks) for part in node[1:])
        case _:
            return not _is_true(node[1], marks)

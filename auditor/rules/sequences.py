"""Sequences: what is remembered of the stages so far, bounded.

In a stream in order a sequence needs little memory. A *chain* is the matches of the first stages, in order; of two
chains that end with the same process, the one that began later can do all that the other can, for longer. So each stage
keeps one chain a process, and a match is answered by looking for chains among the processes that the join allows.

Streams are not always in order: facts about an executable make an exec match after what came of it. So each stage but
the first also keeps the last match of every process, and a stage that comes late is continued with those.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from auditor.model.events import Event
from auditor.model.processes import Process
from auditor.rules.fields import ANCESTORS
from auditor.rules.pack import Join, Sequence

GROUP_LIMIT: Final = 64
"""Processes remembered for one group and stage."""
MEMORY_LIMIT: Final = 2048
"""Processes remembered for one stage, over all groups. Each may hold an exec's 8 KiB of arguments and environment."""

LATENESS_NS: Final = 60_000_000_000
"""What arrives later than this, beside what came after it, may find that forgotten."""


class Moment(NamedTuple):
    """A match of a stage, with what its process ran then."""

    time_ns: int
    event: Event
    process: Process
    args: tuple[str, ...]
    executable: str


Chain: TypeAlias = tuple[Moment, ...]

_Item = TypeVar("_Item", Moment, Chain)


class Memory(Generic[_Item]):
    """Items by group and place, of which the least recently kept go first: of a full group its own, else of any."""

    def __init__(self, group_limit: int = GROUP_LIMIT, limit: int = MEMORY_LIMIT) -> None:
        self._group_limit = group_limit
        self._limit = limit
        self._groups: dict[Any, dict[str, _Item]] = {}
        self._latest: tuple[Any, str, dict[str, _Item]] = (None, "", {})
        self.size = 0
        """How many items there are."""
        self.evictions = 0

    def group(self, group: object) -> dict[str, _Item] | None:
        """Give what a group remembers, by place."""
        return self._groups.get(group)

    def keep(self, group: object, place: str, item: _Item) -> bool:
        """Remember an item in the place of an earlier one; tells whether it is the same place as the last time."""
        last_group, last_place, members = self._latest
        if place == last_place and group == last_group and place in members:
            members[place] = item  # nobody came between: the order stays as it is
            return True
        members = self._groups.pop(group, {})
        self._groups[group] = members
        self._latest = (group, place, members)
        if members.pop(place, None) is None:
            self.size += 1
        members[place] = item
        if len(members) > self._group_limit:
            self._drop(members)
        if self.size > self._limit:
            oldest = next(iter(self._groups))
            self._drop(self._groups[oldest])
            if not self._groups[oldest]:
                del self._groups[oldest]
        return False

    def expire(self, before_ns: int) -> None:
        """Forget the least recently kept groups whose last item is older than the time given. That is no eviction."""
        while self._groups:
            oldest, members = next(iter(self._groups.items()))
            last = next(reversed(members.values()))
            if _last_time(last) >= before_ns:
                return
            self.size -= len(members)
            members.clear()
            del self._groups[oldest]

    def forget(self, group: object) -> None:
        """Forget a group. That is no eviction."""
        members = self._groups.pop(group, None)
        if members is not None:
            self.size -= len(members)
            members.clear()

    def _drop(self, members: dict[str, _Item]) -> None:
        del members[next(iter(members))]
        self.size -= 1
        self.evictions += 1


class Progress:
    """How far one sequence has come, in every group."""

    def __init__(self, rule: Sequence, group_limit: int = GROUP_LIMIT, limit: int = MEMORY_LIMIT) -> None:
        self._join: Join = rule.join
        self._by_process = rule.join in {"self-or-descendant", "parent-child"}
        self._span_ns = rule.span_ns
        self._last = len(rule.stages) - 1
        self._chains = [Memory[Chain](group_limit, limit) for _ in rule.stages]
        self._seen = [Memory[Moment](group_limit, limit) for _ in rule.stages]
        self._newest_ns = [-1] * (len(rule.stages) + 1)

    @property
    def evictions(self) -> int:
        """How many matches were forgotten for want of room."""
        chains = sum(memory.evictions for memory in self._chains)
        return chains + sum(memory.evictions for memory in self._seen)

    def advance(self, stage: int, moment: Moment, group: object) -> Chain | None:
        """Take in a match of a stage; gives the whole chain if that completes one."""
        place = self._place(moment.process)
        chain: Chain | None = (moment,)
        if stage:
            seen = self._seen[stage]
            if not seen.keep(group, place, moment):
                seen.expire(moment.time_ns - self._span_ns - LATENESS_NS)
            self._newest_ns[stage] = max(self._newest_ns[stage], moment.time_ns)
            chain = self._precede(stage, moment, group)
        if chain is None or stage == self._last:
            return chain
        return self._carry_on(stage, chain, group, place)

    def reset(self, group: object) -> None:
        """Forget how far a group has come."""
        for chains, seen in zip(self._chains, self._seen, strict=True):
            chains.forget(group)
            seen.forget(group)

    def _precede(self, stage: int, moment: Moment, group: object) -> Chain | None:
        """Find the chain that the moment continues; of several, the one that began last."""
        chains = self._chains[stage - 1]
        if not chains.size:
            return None
        members = chains.group(group)
        if members is None:
            return None
        earliest_ns = moment.time_ns - self._span_ns
        best: Chain | None = None
        for place in self._places_before(moment.process):
            chain = members.get(place)
            if chain is None or not earliest_ns <= chain[0].time_ns or chain[-1].time_ns > moment.time_ns:
                continue
            if best is None or chain[0].time_ns > best[0].time_ns:
                best = chain
        return None if best is None else (*best, moment)

    def _carry_on(self, stage: int, chain: Chain, group: object, place: str) -> Chain | None:
        """Keep a chain that is not whole yet, and continue it with what came before its time."""
        chains = self._chains[stage]
        now_ns = chain[-1].time_ns
        chains.expire(now_ns - self._span_ns - LATENESS_NS)
        members = chains.group(group)
        known = None if members is None else members.get(place)
        if known is None or known[0].time_ns <= chain[0].time_ns:
            chains.keep(group, place, chain)
        following = stage + 1
        if self._newest_ns[following] <= now_ns:
            return None
        for later in sorted((self._seen[following].group(group) or {}).values(), key=_last_time):
            in_time = now_ns < later.time_ns <= chain[0].time_ns + self._span_ns
            if not in_time or place not in self._places_before(later.process):
                continue
            longer = (*chain, later)
            whole = (
                longer
                if following == self._last
                else self._carry_on(following, longer, group, self._place(later.process))
            )
            if whole is not None:
                return whole
        return None

    def _place(self, process: Process) -> str:
        """Give where a match of the process is kept."""
        if self._by_process:
            return process.entity_id
        return _tree(process) if self._join == "same-tree" else ""

    def _places_before(self, process: Process) -> Iterator[str]:
        """Give the places of the processes that the stage before may have matched."""
        match self._join:
            case "none":
                yield ""
            case "same-tree":
                yield _tree(process)
            case "parent-child":
                if process.parent is not None and not process.elided:
                    yield process.parent.entity_id
            case "self-or-descendant":
                ancestor: Process | None = process
                for _ in range(ANCESTORS + 1):
                    if ancestor is None:
                        return
                    yield ancestor.entity_id
                    ancestor = ancestor.parent


def _tree(process: Process) -> str:
    """Name the tree that a process stands in: its session, or its first known ancestor."""
    if process.session is not None:
        return f"session {process.session.number}"
    for _ in range(ANCESTORS):
        if process.parent is None:
            break
        process = process.parent
    return process.entity_id


def _last_time(item: Moment | Chain) -> int:
    return item.time_ns if isinstance(item, Moment) else item[-1].time_ns

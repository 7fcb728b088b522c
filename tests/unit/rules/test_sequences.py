"""Sequences, held against a search that tries every combination."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.model.alerts import RuleInfo
from auditor.model.processes import Process, SessionInfo
from auditor.model.records import TaskId
from auditor.rules.pack import Join, Sequence
from auditor.rules.sequences import Memory, Moment, Progress
from tests.builders import make_connect
from tests.unit.rules.reference import Item, completes, related

SPAN = 5
EVENT = make_connect()


def make_rule(stages: int = 2, join: Join = "none", span: int = SPAN) -> Sequence:
    """Make a sequence of so many stages."""
    info = RuleInfo("id", "name", "high")
    return Sequence("key", info, tuple(f"stage{number}" for number in range(stages)), (), span, join)


def make_tree() -> list[Process]:
    """Make two sessions: 0 -> 1 -> 2, 0 -> 3, and 4 -> 5, where 5 has the pid that 1 had."""
    parents = [None, 0, 1, 0, None, 4]
    pids = [10, 11, 12, 13, 14, 11]
    processes: list[Process] = []
    for number, parent in enumerate(parents):
        above = None if parent is None else processes[parent]
        process = Process(TaskId(pids[number], 1000 + number), f"boot.{pids[number]}.{1000 + number}", above, 0)
        process.session = SessionInfo(1, "s1", TaskId(10, 1000), "", 0) if above is None else above.session
        processes.append(process)
    processes[4].session = SessionInfo(2, "s2", TaskId(14, 1004), "", 0)
    processes[5].session = processes[4].session
    return processes


TREE = make_tree()


def at(time_ns: int, process: Process) -> Moment:
    """Make a match at a time."""
    return Moment(time_ns, EVENT, process, (), "")


joins = st.sampled_from(get_args(Join))
steps = st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(TREE), st.sampled_from(["a", "b"]))


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=12), st.integers(2, 3), joins)
def test_a_stream_in_order_completes_what_a_full_search_finds(path: list[Any], stages: int, join: Join) -> None:
    """Order, the window's edge, equal times, groups, joins and reused pids are as in a search of all combinations."""
    progress = Progress(make_rule(stages, join))
    items: list[Item] = []
    now = 0
    for delay, stage, process, group in path:
        if stage >= stages:
            continue
        now += delay
        items.append((now, stage, process, group))
        chain = progress.advance(stage, at(now, process), group)
        assert (chain is not None) == completes(items, len(items) - 1, stages, SPAN, join)
        if chain is not None:
            assert_sound(chain, join)
    assert progress.evictions == 0


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=12), st.integers(2, 3), joins, st.data())
def test_late_arrivals_complete_nothing_that_did_not_happen(
    path: list[Any], stages: int, join: Join, data: st.DataObject
) -> None:
    """In a stream out of order, every sequence found is one by its times."""
    progress = Progress(make_rule(stages, join))
    for delay, stage, process, group in path:
        now = data.draw(st.integers(0, 12)) + delay
        if stage < stages:
            chain = progress.advance(stage, at(now, process), group)
            if chain is not None:
                assert len(chain) == stages
                assert_sound(chain, join)


@settings(max_examples=300, deadline=None)
@given(
    st.permutations([(stage, process) for stage in (0, 1) for process in TREE]),
    st.sampled_from(["self-or-descendant", "parent-child"]),
    st.data(),
)
def test_late_arrivals_of_two_stages_are_found(order: list[Any], join: Join, data: st.DataObject) -> None:
    """A pair is found in whichever order its events arrive, as long as a process matches each stage once."""
    progress = Progress(make_rule(2, join))
    arrived: list[tuple[int, int, Process]] = []
    for stage, process in order:
        now = data.draw(st.integers(0, 12))
        others = [(time_ns, other) for earlier, time_ns, other in arrived if earlier != stage]
        if stage == 1:
            expected = any(t <= now <= t + SPAN and related(join, other, process) for t, other in others)
        else:
            expected = any(now < t <= now + SPAN and related(join, process, other) for t, other in others)
        arrived.append((stage, now, process))
        assert (progress.advance(stage, at(now, process), "g") is not None) == expected


def assert_sound(chain: tuple[Moment, ...], join: str) -> None:
    """Check a chain's order, span and joins."""
    for earlier, later in pairwise(chain):
        assert earlier.time_ns <= later.time_ns
        assert related(join, earlier.process, later.process)
    assert chain[-1].time_ns - chain[0].time_ns <= SPAN


def test_a_flood_in_one_group_costs_that_group_alone() -> None:
    """Past a group's limit its own oldest entry goes, and is counted; other groups keep theirs."""
    memory = Memory[Moment](group_limit=3, limit=100)
    memory.keep("quiet", "p", at(0, TREE[0]))
    for number in range(10):
        memory.keep("loud", f"p{number}", at(number, TREE[0]))
    assert list(memory.group("loud") or {}) == ["p7", "p8", "p9"]
    assert list(memory.group("quiet") or {}) == ["p"]
    assert memory.evictions == 7


def test_a_flood_of_groups_evicts_the_least_recent() -> None:
    """Past the limit over all groups, the entry kept longest ago goes, and is counted."""
    memory = Memory[Moment](group_limit=3, limit=4)
    for number in range(4):
        memory.keep(number, "p", at(number, TREE[0]))
    memory.keep(0, "p", at(9, TREE[0]))
    memory.keep(4, "p", at(10, TREE[0]))
    assert [number for number in range(5) if memory.group(number)] == [0, 2, 3, 4]
    assert memory.evictions == 1


def test_what_is_too_old_goes_without_being_counted() -> None:
    """An entry that no window can reach any more is no loss."""
    memory = Memory[Moment]()
    memory.keep("old", "p", at(1, TREE[0]))
    memory.keep("new", "p", at(10, TREE[0]))
    memory.expire(5)
    assert memory.group("old") is None
    assert memory.group("new")
    assert memory.size == 1
    assert memory.evictions == 0


def test_an_evicted_first_stage_completes_nothing() -> None:
    """What was forgotten for want of room is missed, and the counter says so."""
    progress = Progress(make_rule(join="self-or-descendant"), group_limit=2)
    for process in TREE[1:4]:
        assert progress.advance(0, at(0, process), "g") is None
    assert progress.advance(1, at(1, TREE[1]), "g") is None
    assert progress.evictions == 1
    assert progress.advance(1, at(1, TREE[3]), "g") is not None


def test_a_parent_that_is_not_the_real_one_is_no_parent() -> None:
    """Where ancestors were left out of the chain, the process above is an ancestor and not the parent."""
    parent, child = make_tree()[:2]
    child.elided = 2
    strict, loose = Progress(make_rule(join="parent-child")), Progress(make_rule(join="self-or-descendant"))
    for progress in (strict, loose):
        progress.advance(0, at(0, parent), "g")
    assert strict.advance(1, at(1, child), "g") is None
    assert loose.advance(1, at(1, child), "g") is not None


def test_one_event_is_not_its_own_successor() -> None:
    """A match that arrives late is not continued by one of the very same time."""
    progress = Progress(make_rule())
    assert progress.advance(1, at(5, TREE[0]), "g") is None
    assert progress.advance(0, at(5, TREE[0]), "g") is None
    assert progress.advance(0, at(4, TREE[0]), "g") is not None

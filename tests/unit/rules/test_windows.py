"""Windows, held against a search of everything that has happened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.model.alerts import RuleInfo
from auditor.rules.pack import Correlation
from auditor.rules.windows import COMPARISONS, EVIDENCE_LIMIT, Window
from tests.unit.rules.test_sequences import TREE, at

SPAN = 5
KINDS = ["event_count", "value_count", "temporal"]
CONDITIONS: list[Any] = [
    None,
    ("and", ("rule", 0), ("not", ("rule", 1))),
    ("or", ("and", ("rule", 0), ("rule", 1)), ("rule", 2)),
    ("not", ("or", ("rule", 1), ("not", ("rule", 2)))),
]


def make_rule(kind: Any = "event_count", op: str = "gte", count: int = 2, condition: Any = None) -> Correlation:
    """Make a correlation."""
    return Correlation("key", RuleInfo("id", "name", "high"), kind, ("r",), (), SPAN, op, count, condition=condition)


def holds(rule: Correlation, marks: list[object]) -> bool:
    """Tell whether the matches in a window are what the rule asks for, by the book."""
    if rule.condition is not None:
        text = {
            CONDITIONS[1]: 0 in marks and 1 not in marks,
            CONDITIONS[2]: (0 in marks and 1 in marks) or 2 in marks,
            CONDITIONS[3]: not (1 in marks or 2 not in marks),
        }
        return text[rule.condition]
    return COMPARISONS[rule.op](len(marks) if rule.kind == "event_count" else len(set(marks)), rule.count)


steps = st.tuples(st.integers(0, 4), st.sampled_from(["a", "b"]), st.integers(0, 2), st.sampled_from(TREE))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(steps, max_size=14),
    st.sampled_from(KINDS),
    st.sampled_from(sorted(COMPARISONS)),
    st.integers(0, 4),
    st.sampled_from(CONDITIONS),
)
def test_a_stream_in_order_finds_what_a_full_search_finds(
    path: list[Any], kind: str, op: str, count: int, condition: Any
) -> None:
    """Counts, values, conditions, the window's edge, equal times and groups are as in a search of all that happened."""
    rule = make_rule(kind, op, count, condition if kind == "temporal" else None)
    window = Window(rule)
    past: list[tuple[int, str, int]] = []
    now = 0
    for delay, group, mark, process in path:
        now += delay
        past.append((now, group, mark))
        inside = [mark for time, of, mark in past if of == group and now - SPAN <= time <= now]
        found = window.add(group, mark, f"r{mark}", at(now, process))
        assert (found is not None) == holds(rule, list(inside))
        if found is not None:
            times = [moment.time_ns for moment in found.chain]
            assert times == sorted(times)
            assert times[-1] == now
            assert times[0] >= now - SPAN
    assert window.evictions == 0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=12), st.integers(1, 4), st.booleans())
def test_late_arrivals_count_in_the_window_that_ends_last(
    path: list[tuple[int, int]], count: int, by_value: bool
) -> None:
    """Whatever the order of arrival, a match counts in the latest window if its time lies there, and else never."""
    window = Window(make_rule("value_count" if by_value else "event_count", count=count))
    past: list[tuple[int, int]] = []
    for now, mark in path:
        newest = max([now, *(time for time, _ in past)])
        before = {known: time for time, known in sorted(past)}
        past.append((now, mark))
        inside = [known for time, known in past if time >= newest - SPAN]
        found = window.add("g", mark, "r", at(now, TREE[0]))
        if now < newest - SPAN or (by_value and now < newest and before.get(mark, -1) >= now):
            assert found is None  # it says nothing new
        else:
            assert (found is not None) == ((len(set(inside)) if by_value else len(inside)) >= count)


def test_a_flood_of_one_value_hides_no_others() -> None:
    """Each value takes one place, however often it comes."""
    window = Window(make_rule("value_count", count=3))
    assert window.add("g", "x", "r", at(0, TREE[0])) is None
    for _ in range(500):
        assert window.add("g", "loud", "r", at(1, TREE[0])) is None
    assert window.add("g", "y", "r", at(2, TREE[0])) is not None
    assert window.evictions == 0


def test_a_flood_of_groups_evicts_the_least_recent() -> None:
    """Past the limit over all groups the group used longest ago loses its oldest, and that is counted."""
    window = Window(make_rule(), limit=0)
    room = 2 * 64
    for number in range(room + 1):
        window.add(number, 0, "r", at(0, TREE[0]))
    assert window.evictions == 1
    assert window.add(0, 0, "r", at(0, TREE[0])) is None
    assert window.add(room, 0, "r", at(0, TREE[0])) is not None


def test_a_group_that_left_the_window_makes_room_uncounted() -> None:
    """What no window can hold any more is no loss."""
    window = Window(make_rule(), limit=0)
    for number in range(2 * 64 + 40):
        window.add(number, 0, "r", at(number * 10, TREE[0]))
    assert window.evictions == 0


def test_a_group_keeps_its_own_within_bounds() -> None:
    """One group's flood costs that group its oldest; it can still count as far as its rule counts."""
    window = Window(make_rule(count=100))
    founds = [window.add("g", 0, "r", at(1, TREE[0])) is not None for _ in range(300)]
    assert founds == [number >= 99 for number in range(300)]
    assert window.evictions == 100


def test_an_alert_shows_the_first_match_and_the_last_ones() -> None:
    """Evidence is bounded."""
    window = Window(make_rule(count=50))
    found = None
    for number in range(50):
        found = window.add("g", 0, f"r{number}", at(1, TREE[0]))
    assert found is not None
    assert len(found.chain) == EVIDENCE_LIMIT
    assert found.stages[0] == "r0"
    assert found.stages[-1] == "r49"


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_group_starts_anew(kind: str) -> None:
    """Nothing from before a reset counts; other groups keep theirs."""
    window = Window(make_rule(kind))
    for group in "ab":
        window.add(group, 0, "r", at(1, TREE[0]))
    window.reset("a")
    assert window.add("a", 1, "r", at(2, TREE[0])) is None
    assert window.add("b", 1, "r", at(2, TREE[0])) is not None

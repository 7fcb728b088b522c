"""What has to come in time, and what if it does not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.rules.deadlines import GRACE_NS, NEVER, Deadline, Deadlines
from auditor.rules.windows import Found
from tests.unit.rules.test_sequences import TREE, at

WITHIN = 10


def make_deadline(begin_ns: int, group: object = "g") -> Deadline:
    """Make a deadline that began at a time."""
    return Deadline(begin_ns + WITHIN, 0, group, Found(("r",), (at(begin_ns, TREE[0]),)))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from("ab"), st.sampled_from(["set", "meet", "drop"])), max_size=12
    )
)
def test_what_nothing_met_is_over_once(steps: list[tuple[int, str, str]]) -> None:
    """Of each group the first deadline counts, until it is met in its time or dropped."""
    deadlines = Deadlines()
    waiting: dict[str, int] = {}
    for time, group, step in sorted(steps):
        if step == "set":
            deadlines.set(make_deadline(time, group))
            waiting.setdefault(group, time)
        elif step == "meet":
            deadlines.meet(0, group, time)
            if group in waiting and time <= waiting[group] + WITHIN:
                del waiting[group]
        else:
            deadlines.drop(0, group)
            waiting.pop(group, None)
    over = deadlines.over(100 + GRACE_NS)
    assert sorted((item.group, item.due_ns) for item in over) == sorted((g, t + WITHIN) for g, t in waiting.items())
    assert [item.due_ns for item in over] == sorted(item.due_ns for item in over)
    assert deadlines.over(200 + GRACE_NS) == []
    assert deadlines.next_ns == NEVER


def test_the_edge_belongs_to_the_deadline() -> None:
    """What comes exactly in time has come, and a deadline is over only when its grace is."""
    deadlines = Deadlines()
    deadlines.set(make_deadline(0))
    assert deadlines.over(WITHIN + GRACE_NS) == []
    deadlines.meet(0, "g", WITHIN)
    assert deadlines.over(1000 + GRACE_NS) == []


def test_what_came_before_does_not_meet_it() -> None:
    """Only what happens afterwards counts."""
    deadlines = Deadlines()
    deadlines.set(make_deadline(5))
    deadlines.meet(0, "g", 4)
    assert len(deadlines.over(1000 + GRACE_NS)) == 1


def test_deadlines_are_bounded() -> None:
    """Past the limit the one set first is given up and counted; those met leave nothing behind."""
    deadlines = Deadlines(limit=2)
    for number in range(3):
        deadlines.set(make_deadline(number, number))
    assert deadlines.evictions == 1
    assert [item.group for item in deadlines.over(1000 + GRACE_NS)] == [1, 2]
    for number in range(100):
        deadlines.set(make_deadline(number, number))
        deadlines.meet(0, number, number)
    assert deadlines.over(1000 + GRACE_NS) == []
    assert deadlines.evictions == 1

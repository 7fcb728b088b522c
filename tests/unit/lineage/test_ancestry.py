"""Ancestors kept for their descendants' sake."""

from __future__ import annotations

from auditor.lineage.ancestry import Ancestry
from auditor.model.processes import Process
from auditor.model.records import TaskId


class Family:
    """Processes by number, in an ancestry."""

    def __init__(self, **limits: int) -> None:
        self.ancestry = Ancestry(**limits)

    def born(self, number: int, parent: Process | None = None) -> Process:
        """Make a process below its parent."""
        process = Process(TaskId(number, number), f"b.{number}.{number}", parent, 0)
        self.ancestry.born(process)
        return process

    def chain(self, length: int) -> list[Process]:
        """Make a chain in which each process leaves right after its child is born."""
        processes = [self.born(0)]
        for number in range(1, length):
            processes.append(self.born(number, processes[-1]))
            self.ancestry.left(processes[-2])
        return processes


def ancestors(process: Process) -> list[int]:
    """List a process's ancestors by number, nearest first."""
    found = []
    while process.parent is not None:
        process = process.parent
        found.append(process.task.tgid)
    return found


def true_depth(process: Process) -> int:
    """Count a process's ancestors, those that were left out too."""
    depth = 0
    while process.parent is not None:
        depth += 1 + process.elided
        process = process.parent
    return depth


def test_ancestor_is_kept_while_it_has_descendants() -> None:
    """A process that left stays while a child lives, and goes with its last one."""
    family = Family()
    parent = family.born(1)
    one, two = family.born(2, parent), family.born(3, parent)
    family.ancestry.left(parent)
    assert len(family.ancestry) == 1
    family.ancestry.left(one)
    assert len(family.ancestry) == 1
    family.ancestry.left(two)
    assert len(family.ancestry) == 0


def test_whole_line_goes_with_the_last_one() -> None:
    """When the last of a line leaves, all ancestors that were kept for it alone go."""
    family = Family()
    last = family.chain(50)[-1]
    assert len(family.ancestry) == 49
    family.ancestry.left(last)
    assert len(family.ancestry) == 0


def test_chain_cannot_grow() -> None:
    """Of an endless chain of fork and exit the middle is left out; both ends stay, and the gap is counted."""
    family = Family(chain=32)
    last = family.chain(1000)[-1]
    kept = ancestors(last)
    assert len(kept) < 32 + 8 + 1
    assert kept[:8] == list(range(998, 990, -1))
    assert kept[-4:] == [3, 2, 1, 0]
    assert true_depth(last) == 999
    assert family.ancestry.elided == 999 - len(kept)


def test_living_ancestors_are_never_left_out() -> None:
    """A chain in which everyone lives stays whole however long it is."""
    family = Family(chain=32)
    process = family.born(0)
    for number in range(1, 200):
        process = family.born(number, process)
    assert ancestors(process) == list(range(198, -1, -1))


def test_first_of_a_call_is_never_left_out() -> None:
    """The process that a tool call began with stays, wherever in the chain it stands."""
    family = Family(chain=32)
    process = family.born(0)
    for number in range(1, 400):
        child = family.born(number, process)
        process.call_root = process.task.tgid == 50
        family.ancestry.left(process)
        process = child
    assert 50 in ancestors(process)
    assert true_depth(process) == 399


def test_kept_processes_are_bounded() -> None:
    """However many lines there are, no more are kept than there is room for, and the lines stay connected."""
    family = Family(kept=10)
    root = family.born(0)
    leaves = []
    for number in range(1, 101):
        middle = family.born(number, root)
        leaves.append(family.born(1000 + number, middle))
        family.ancestry.left(middle)
    assert len(family.ancestry) == 10
    assert family.ancestry.elided == 90
    assert all(true_depth(leaf) == 2 and ancestors(leaf)[-1] == 0 for leaf in leaves)
    assert leaves[0].elided == 1
    for leaf in leaves:
        family.ancestry.left(leaf)
    assert len(family.ancestry) == 0


def test_rendering_of_children_is_dropped() -> None:
    """Who loses a parent is rendered again."""
    family = Family(kept=1)
    root = family.born(0)
    first, second = family.born(1, root), family.born(2, root)
    child = family.born(3, first)
    family.born(4, second)
    child.document = b"rendered"
    family.ancestry.left(first)
    family.ancestry.left(second)
    assert (child.parent, child.elided, child.document) == (root, 1, None)


def test_clear_forgets_everything() -> None:
    """After clearing nothing is kept."""
    family = Family()
    family.chain(5)
    family.ancestry.clear()
    assert len(family.ancestry) == 0

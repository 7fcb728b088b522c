"""Facts about executable files, and who waits for them."""

from __future__ import annotations

from auditor.lineage.facts import Facts, file_key
from auditor.model.processes import Process
from auditor.model.records import TaskId
from tests.builders import make_exec, make_executable


def process(number: int = 100) -> Process:
    """Make a process."""
    return Process(TaskId(number, number), f"b.{number}.{number}", None, 0)


def run(facts: Facts, event, number: int = 100) -> Process:
    """Make a process run a file."""
    runner = process(number)
    runner.exec_event = event
    facts.attach(runner, event)
    return runner


def test_known_facts_are_attached_at_once() -> None:
    """An exec of a file that is known has its facts."""
    facts, told = Facts(), make_executable()
    facts.remember(told)
    runner = run(facts, make_exec())
    assert runner.facts is told
    assert not facts.waits(runner)


def test_another_content_is_another_file() -> None:
    """Facts belong to a size and change time: a file that was written to has none."""
    facts = Facts()
    facts.remember(make_executable())
    assert run(facts, make_exec(ctime_ns=1)).facts is None
    assert run(facts, make_exec(size=1)).facts is None


def test_late_facts_reach_those_who_wait() -> None:
    """Processes that ran a file before its facts came get them, in order, and are rendered again."""
    facts, told = Facts(), make_executable()
    first, second = run(facts, make_exec(), 1), run(facts, make_exec(), 2)
    other = run(facts, make_exec(args=("ssh",)), 3)
    first.document = b"rendered"
    assert facts.release(told) == [first, second]
    assert (first.facts, first.document, other.facts) == (told, None, None)
    assert facts.release(told) == []


def test_children_wait_with_their_parent() -> None:
    """A child that runs its parent's program gets the facts, but did not execute the file itself."""
    facts, told = Facts(), make_executable()
    parent, child = run(facts, make_exec(), 1), process(2)
    facts.inherit(child, parent)
    assert facts.release(told) == [parent]
    assert child.facts is told
    heir = process(3)
    facts.inherit(heir, child)
    assert heir.facts is told


def test_who_runs_something_else_waits_no_longer() -> None:
    """Facts about a program that a process left behind are not its facts."""
    facts = Facts()
    runner = run(facts, make_exec())
    facts.attach(runner, make_exec(args=("ssh",)))
    assert facts.release(make_executable()) == []
    assert runner.facts is None
    assert facts.release(make_executable(make_exec(args=("ssh",)))) == [runner]


def test_file_without_identity_is_not_waited_for() -> None:
    """An exec whose file is not known by number waits for nothing."""
    facts = Facts()
    assert not facts.waits(run(facts, make_exec(ino=0)))


def test_waiting_is_bounded() -> None:
    """When too many wait, those of the file that came first are given up and counted."""
    facts = Facts(waiting_limit=3)
    events = [make_exec(ino=number, dev=1) for number in (1, 1, 2, 3)]
    runners = [run(facts, event, number) for number, event in enumerate(events, 1)]
    assert facts.given_up == 2
    assert [facts.waits(runner) for runner in runners] == [False, False, True, True]
    assert facts.release(make_executable(events[0])) == []
    assert facts.release(make_executable(events[3])) == [runners[3]]


def test_known_facts_are_bounded() -> None:
    """Of the files known, the one that was not used for longest is forgotten."""
    facts = Facts(limit=2)
    events = [make_exec(ino=number) for number in (1, 2, 3)]
    for event in events[:2]:
        facts.remember(make_executable(event))
    run(facts, events[0])
    facts.remember(make_executable(events[2]))
    assert [run(facts, event).facts is None for event in events] == [False, True, False]


def test_file_key_of_an_exec_is_that_of_its_facts() -> None:
    """An exec and the facts about its file have the same key."""
    assert file_key(make_exec()) == file_key(make_executable())

"""Sessions and tool calls."""

from __future__ import annotations

from auditor.lineage.labels import Labels
from auditor.model.processes import Process
from auditor.model.records import Flag, LabelSource, TaskId
from tests.builders import make_exec, make_fork, make_session, make_tool_call


def entity_id(tgid: int, start_ns: int) -> str:
    """Name a task."""
    return f"b.{tgid}.{start_ns}"


def labelled(labels: Labels, event, parent: Process | None = None) -> Process:
    """Make a process as a record says."""
    process = Process(TaskId(event.tgid, event.start_ns), entity_id(event.tgid, event.start_ns), parent, 0)
    labels.apply(process, event)
    return process


def test_names_are_given() -> None:
    """A session and a call have the names and the selector that were given."""
    labels = Labels(entity_id)
    labels.name_session(make_session(id="s", selector="pid:99"))
    labels.name_call(make_tool_call(id="t"))
    process = labelled(labels, make_exec())
    assert (process.session.id, process.session.selector, process.session.root.tgid) == ("s", "pid:99", 99)
    assert (process.call.id, process.call.first) == ("t", process)


def test_names_by_default() -> None:
    """Without names, a session is named after its root and a call after its first process."""
    labels = Labels(entity_id)
    agent = labelled(labels, make_exec(99, call=0, flags=Flag.AGENT))
    process = labelled(labels, make_exec(), agent)
    assert process.session.id == agent.entity_id
    assert process.call.id == process.entity_id
    labels.name_session(make_session(id=""))
    labels.name_call(make_tool_call(id=""))
    assert (process.session.id, process.call.id) == (agent.entity_id, process.entity_id)


def test_agent_has_no_call() -> None:
    """The agent itself is charged to its session only."""
    agent = labelled(Labels(entity_id), make_exec(99, call=0, flags=Flag.AGENT))
    assert agent.call is None
    assert not agent.call_root


def test_record_wins_over_parent() -> None:
    """A record's own label counts, whatever the parent's is."""
    labels = Labels(entity_id)
    parent = labelled(labels, make_exec(100))
    child = labelled(labels, make_exec(101, call=101, label_source=LabelSource.REGISTERED), parent)
    assert (child.call.task.tgid, child.call_root, child.label_source) == (101, True, LabelSource.REGISTERED)


def test_label_is_inherited_without_one() -> None:
    """A record without a label leaves the parent's, and where it came from."""
    labels = Labels(entity_id)
    parent = labelled(labels, make_exec(100, label_source=LabelSource.SEEDED))
    child = labelled(labels, make_fork(101, 100, session=0, call=0, label_source=0), parent)
    assert (child.session, child.call, child.label_source) == (parent.session, parent.call, LabelSource.SEEDED)
    assert not child.call_root


def test_call_known_by_its_tick_is_the_same_call() -> None:
    """A call whose first process was found in /proc has one identity, exact or to the tick."""
    labels = Labels(entity_id)
    seeded = labelled(labels, make_exec(100, start_ns=990_000_000, call_tgid=100)._replace(call_start_ns=990_000_000))
    exact = make_fork(101, 100, call=100)._replace(call_start_ns=994_567_891)
    assert labelled(labels, exact, seeded).call is seeded.call
    assert labelled(labels, exact).call is seeded.call


def test_tables_are_bounded() -> None:
    """The sessions and calls that were not used for longest are forgotten, and counted."""
    labels = Labels(entity_id, session_limit=2, call_limit=2)
    for number in (1, 2, 3):
        labels.name_session(make_session(99, id=f"s{number}", session=number))
        labels.name_call(make_tool_call(number, id=f"t{number}", session=number))
    assert labels.forgotten == 1 + 1
    assert labelled(labels, make_exec(3, session=3)).call.id == "t3"
    assert labelled(labels, make_exec(1, session=1)).call.id == "b.1.10000000"


def test_name_that_comes_late_counts() -> None:
    """A name given after the call began is the call's name for all its processes."""
    labels = Labels(entity_id)
    process = labelled(labels, make_exec())
    labels.name_call(make_tool_call(id="late"))
    assert process.call.id == "late"


def test_clear_forgets_names() -> None:
    """After clearing, the same numbers mean other sessions and calls."""
    labels = Labels(entity_id)
    labels.name_session(make_session(id="old"))
    labels.clear()
    assert labelled(labels, make_exec()).session.id != "old"

"""Whom an alert is charged to, and how good its evidence is."""

from __future__ import annotations

from auditor.lineage.table import Table
from auditor.model.alerts import Alert, RuleInfo
from auditor.model.events import Event, Loss
from auditor.model.processes import Process
from auditor.model.records import Flag, Kind, LabelSource
from auditor.rules.charging import charge, identify, lineage, scope_of
from auditor.rules.sequences import Moment
from tests.builders import SECOND, make_connect, make_exec, make_fork, make_loss, make_session

RULE = RuleInfo("id", "name", "high")


def fold(*events: Event) -> tuple[Event, Process]:
    """Apply events; gives the last, with its process."""
    table = Table()
    process = [table.apply(event) for event in events][-1]
    assert process is not None
    return events[-1], process


def alert(*events: Event, losses: tuple[Loss, ...] = ()) -> Alert:
    """Charge the last event."""
    event, process = fold(*events)
    return charge(RULE, ["stage"], (Moment(event.time_ns, event, process, process.args, process.executable),), losses)


def test_the_tree_goes_from_the_tool_calls_first_process_to_the_offender() -> None:
    """The agent above the tool call is not in the tree."""
    found = alert(
        make_session(99),
        make_exec(99, ("agent",), call=0, flags=Flag.AGENT),
        make_fork(100, 99),
        make_exec(100, ("bash",)),
        make_fork(101, 100, call=100),
        make_exec(101, ("ssh",), parent_tgid=100, call=100),
        make_connect(101, call=100),
    )
    assert [process.executable for process in found.tree] == ["/usr/bin/bash", "/usr/bin/ssh"]
    assert found.call is not None
    assert found.call.task == found.tree[0].task
    assert found.quality.lineage_complete


def test_without_a_tool_call_the_tree_begins_at_the_sessions_root() -> None:
    """What the agent does itself has the agent at its root."""
    found = alert(make_session(99), make_exec(99, ("agent",), call=0), make_connect(99, call=0))
    assert [process.task.tgid for process in found.tree] == [99]
    assert found.call is None
    assert found.session is not None
    assert found.quality.lineage_complete


def test_a_process_that_was_there_before_makes_the_lineage_incomplete() -> None:
    """Nobody saw its birth."""
    assert not alert(make_exec(100, kind=Kind.SEED), make_connect(100)).quality.lineage_complete


def test_a_parent_nobody_saw_makes_the_lineage_incomplete() -> None:
    """The tree does not reach the tool call's first process."""
    found = alert(make_exec(105, ("ssh",), parent_tgid=104, call=100))
    assert [process.task.tgid for process in found.tree] == [105]
    assert not found.quality.lineage_complete


def test_quality_tells_of_cut_arguments_and_where_the_label_came_from() -> None:
    """Both are the offender's."""
    found = alert(make_exec(100, flags=Flag.ARGV_TRUNCATED, label_source=LabelSource.REGISTERED))
    assert found.quality.args_truncated
    assert found.quality.label_source == "registered"
    assert not alert(make_exec(100)).quality.args_truncated


def test_losses_count_from_the_tool_calls_start() -> None:
    """A loss reported then or later may have taken what would have spoken for or against."""
    losses = (make_loss(SECOND - 1, ring_exec=1), make_loss(SECOND, ring_exec=2), make_loss(2 * SECOND, label_full=4))
    assert alert(make_exec(100, time_ns=9 * SECOND), losses=losses).quality.losses == (
        ("label.full", 4),
        ("ring.exec", 2),
    )


def test_an_id_is_of_the_rule_and_the_events() -> None:
    """Another rule, time or process gives another id; the same give the same."""

    def of(rule: str, time_ns: int, pid: int) -> str:
        event, process = fold(make_exec(pid, time_ns=time_ns))
        return identify(rule, (Moment(time_ns, event, process, (), ""),))

    assert of("r", 5, 100) == of("r", 5, 100)
    assert len({of("r", 5, 100), of("s", 5, 100), of("r", 6, 100), of("r", 5, 101)}) == 4
    assert len(of("r", 5, 100)) == 32


def test_alerts_are_charged_to_the_call_else_the_session_else_the_process() -> None:
    """The scope is what one alert is enough for."""
    _, of_call = fold(make_exec(100))
    _, of_session = fold(make_session(99), make_exec(99, call=0))
    _, alone = fold(make_exec(99, call=0, session=0))
    assert scope_of(of_call) == (100, SECOND)
    assert scope_of(of_session) == 1
    assert scope_of(alone) == alone.entity_id


def test_a_chain_of_parents_without_end_is_cut() -> None:
    """A table gone wrong cannot hang the engine."""
    _, process = fold(make_exec(100, call=50))
    process.parent = process
    assert len(lineage(process)) == 4096

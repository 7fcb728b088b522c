"""The engine over whole events: what alerts, what stays silent, what is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.lineage.table import Table
from auditor.model.alerts import Alert, RuleInfo
from auditor.model.events import Event, Executable, Loss
from auditor.rules import engine as engine_module
from auditor.rules.engine import Engine
from auditor.rules.pack import Detection, Pack, Sequence
from tests.builders import (
    SECOND,
    make_connect,
    make_exec,
    make_executable,
    make_exit,
    make_fork,
    make_gpu_use,
    make_loss,
    make_session,
)

SSH = ("ends", "Image", "/ssh", False)
OUTSIDE = ("eq", "DestinationScope", "external", False)
MARKED = ("eq", "ExecutableMarks", "client:openssh", False)


def info(name: str, level: str = "high") -> RuleInfo:
    """Make a rule's description."""
    return RuleInfo(f"id-{name}", name, level, ("attack.t1572",))


def detection(key: str, condition: Any, category: str = "process_creation", **more: Any) -> Detection:
    """Make a rule over one event."""
    return Detection(key, info(key), category, condition, **more)


def tunnel(client: Any = SSH, **more: Any) -> Pack:
    """Make a pack of one sequence: a client starts, then connects outside."""
    stages = (
        detection("client", client, silent=True),
        detection("outside", OUTSIDE, "network_connection", silent=True),
    )
    values = {"group_by": ("ToolCallId",), "span_ns": 60 * SECOND, "join": "self-or-descendant", **more}
    return Pack(stages, (Sequence("tunnel", info("tunnel"), ("client", "outside"), **values),))


def fold(engine: Engine, *events: Event, table: Table | None = None) -> list[Alert]:
    """Send events through lineage into the engine, as the pipeline does."""
    table = table or Table()
    alerts: list[Alert] = []
    for event in events:
        process = table.apply(event)
        if process is not None:
            alerts += engine.observe(event, process)
        elif isinstance(event, Executable):
            for waiting in table.late(event):
                alerts += engine.observe(waiting.exec_event, waiting, late=True)  # type: ignore[arg-type]
        elif isinstance(event, Loss):
            engine.lose(event)
    return alerts


def test_a_detection_alerts_once_for_a_tool_call() -> None:
    """Every match of the same rule in the same tool call after the first raises nothing and is counted."""
    engine = Engine(Pack((detection("r", SSH),)))
    alerts = fold(
        engine,
        make_exec(100, ("ssh",)),
        make_exec(101, ("ssh",), parent_tgid=100, call=100),
        make_exec(200, ("ssh",)),
    )
    assert [alert.process.task.tgid for alert in alerts] == [100, 200]
    assert engine.suppressed == 1


def test_without_a_tool_call_the_session_is_what_is_charged() -> None:
    """What the agent itself does is charged to its session."""
    engine = Engine(Pack((detection("r", SSH),)))
    alerts = fold(
        engine, make_session(99), make_exec(99, ("ssh",), call=0), make_exec(98, ("ssh",), call=0, parent_tgid=99)
    )
    assert [alert.session and alert.session.id for alert in alerts] == ["s1"]
    assert alerts[0].call is None


def test_a_rule_may_alert_again_after_its_time() -> None:
    """With a time for `suppress`, the next match alerts when that time has gone by, and not a moment earlier."""
    engine = Engine(Pack((detection("r", SSH, suppress_ns=10 * SECOND),)))
    times = [0, 10 * SECOND - 1, 10 * SECOND, 15 * SECOND, 20 * SECOND]
    alerts = fold(engine, *(make_exec(100, ("ssh",), time_ns=5 * SECOND + time) for time in times))
    assert [alert.time_ns - 5 * SECOND for alert in alerts] == [0, 10 * SECOND, 20 * SECOND]


def test_a_stage_alone_stays_silent() -> None:
    """The stages of a sequence raise no alerts of their own."""
    assert fold(Engine(tunnel()), make_exec(100, ("ssh",)), make_exec(200), make_connect(200)) == []


def test_a_sequence_alerts_with_the_events_it_rests_on() -> None:
    """A descendant's connection completes it; the alert holds both events, as their processes were then."""
    engine = Engine(tunnel())
    first, last = make_exec(100, ("ssh", "-R", "x")), make_connect(101, call=100, time_ns=9 * SECOND)
    (alert,) = fold(
        engine, first, make_fork(101, 100, call=100), make_exec(101, ("nc",), parent_tgid=100, call=100), last
    )
    assert alert.rule.name == "tunnel"
    assert [item.stage for item in alert.evidence] == ["client", "outside"]
    assert [item.event for item in alert.evidence] == [first, last]
    assert [item.args for item in alert.evidence] == [("ssh", "-R", "x"), ("nc",)]
    assert [item.executable for item in alert.evidence] == ["/usr/bin/ssh", "/usr/bin/nc"]
    assert alert.process.task.tgid == 101
    assert [process.task.tgid for process in alert.tree] == [100, 101]
    assert alert.time_ns == 9 * SECOND


def test_another_tool_call_does_not_continue_a_sequence() -> None:
    """Events of two tool calls are of two groups."""
    assert fold(Engine(tunnel()), make_exec(100, ("ssh",)), make_exec(200, ("curl",)), make_connect(200)) == []


def test_a_reused_pid_does_not_continue_a_sequence() -> None:
    """A new process under an old pid is another process."""
    events = [
        make_exec(100, ("ssh",)),
        make_exit(100, time_ns=3 * SECOND),
        make_exec(100, ("curl",), start_ns=4 * SECOND, time_ns=4 * SECOND, call_start_ns=10),
        make_connect(100, start_ns=4 * SECOND, time_ns=5 * SECOND),
    ]
    assert fold(Engine(tunnel(group_by=())), *events) == []


def test_the_window_is_inclusive() -> None:
    """A sequence completes at its timespan to the nanosecond, and not one later."""
    start = make_exec(100, ("ssh",), time_ns=SECOND)
    assert fold(Engine(tunnel()), start, make_connect(100, time_ns=61 * SECOND))
    assert not fold(Engine(tunnel()), start, make_connect(100, time_ns=61 * SECOND + 1))


def test_facts_that_come_late_raise_the_alert_of_a_detection_once() -> None:
    """An exec is judged again when its file is known; what matched without the facts does not match again."""
    engine = Engine(
        Pack(
            (
                detection("marked", MARKED),
                detection("either", ("or", MARKED, SSH), suppress_ns=0),
                detection("ssh", SSH),
            )
        )
    )
    start = make_exec(100, ("ssh",))
    facts = make_executable(start, marks=("client:openssh",))
    assert [alert.rule.name for alert in fold(engine, start, facts)] == ["either", "ssh", "marked"]


def test_facts_that_come_after_the_connection_complete_the_sequence() -> None:
    """A renamed client is known only after it connected; the sequence is found all the same, in the order of time."""
    start = make_exec(100, ("sync",), executable="/tmp/sync")
    facts = make_executable(start, marks=("client:openssh",), time_ns=4 * SECOND)
    connect = make_connect(100, time_ns=3 * SECOND)
    (alert,) = fold(Engine(tunnel(MARKED)), start, connect, facts)
    assert [item.event for item in alert.evidence] == [start, connect]
    assert alert.time_ns == 3 * SECOND


def test_a_connection_waits_for_the_facts_about_its_process() -> None:
    """A rule over a connection that reads facts is decided when they come, for a child that inherited too."""
    rule = detection("r", ("and", OUTSIDE, MARKED), "network_connection")
    start = make_exec(100, ("sync",))
    connects = [
        make_connect(101, call=100, time_ns=3 * SECOND),
        make_connect(101, "10.0.0.1", call=100, time_ns=4 * SECOND),
    ]
    facts = make_executable(start, marks=("client:openssh",), time_ns=5 * SECOND)
    (alert,) = fold(Engine(Pack((rule,))), start, make_fork(101, 100, call=100), *connects, facts)
    assert alert.evidence[0].event == connects[0]
    other = make_executable(start, marks=("x",), time_ns=5 * SECOND)
    assert fold(Engine(Pack((rule,))), start, *connects, other) == []


def test_losses_since_the_tool_call_began_stand_on_the_alert() -> None:
    """Losses reported before the tool call are not the alert's; those since are summed up."""
    engine = Engine(Pack((detection("r", SSH),)))
    start = make_exec(100, ("ssh",), time_ns=9 * SECOND)
    losses = [
        make_loss(SECOND // 2, ring_exec=7),
        make_loss(4 * SECOND, ring_exec=2),
        make_loss(8 * SECOND, ring_exec=1),
    ]
    (alert,) = fold(engine, *losses, start)
    assert alert.quality.losses == (("ring.exec", 3),)


def test_suppressions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many suppressions are remembered the oldest goes: its rule may alert again, and that is counted."""
    monkeypatch.setattr(engine_module, "FIRED_LIMIT", 2)
    engine = Engine(Pack((detection("r", SSH),)))
    table = Table()
    assert len(fold(engine, *(make_exec(pid, ("ssh",)) for pid in (100, 200, 300)), table=table)) == 3
    assert engine.evictions == 1
    assert len(fold(engine, make_exec(300, ("ssh",)), make_exec(100, ("ssh",)), table=table)) == 1


def test_waiting_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many processes wait for facts the first is given up and counted."""
    monkeypatch.setattr(engine_module, "WAITING_LIMIT", 2)
    rule = detection("r", ("and", OUTSIDE, MARKED), "network_connection")
    engine = Engine(Pack((rule,)))
    starts = [make_exec(pid, (f"p{pid}",)) for pid in (100, 200, 300)]
    connects = [make_connect(pid) for pid in (100, 200, 300)]
    facts = [make_executable(start, marks=("client:openssh",)) for start in starts]
    alerts = fold(engine, *starts, *connects, *facts)
    assert [alert.process.task.tgid for alert in alerts] == [200, 300]
    assert engine.evictions == 1


def test_events_without_rules_or_processes_raise_nothing() -> None:
    """What no rule is about, and what nobody is known to have done, passes."""
    engine = Engine(Pack((detection("r", SSH),)))
    assert fold(engine, make_fork(101, 100), make_connect(100), make_gpu_use(100)) == []
    assert engine.observe(make_exec(100, ("ssh",)), None) == []


def test_one_rule_may_be_two_stages() -> None:
    """A rule that is both stages of a sequence takes two events, not one twice."""
    pack = Pack(
        (detection("ssh", SSH, silent=True),),
        (Sequence("twice", info("twice"), ("ssh", "ssh"), (), 60 * SECOND),),
    )
    engine = Engine(pack)
    table = Table()
    assert fold(engine, make_exec(100, ("ssh",)), table=table) == []
    assert len(fold(engine, make_exec(101, ("ssh",), parent_tgid=100, call=100), table=table)) == 1


def test_the_same_events_give_the_same_alerts() -> None:
    """The engine is a fold: alerts have the same ids and order whenever the same events pass."""
    events = [make_exec(100, ("ssh",)), make_connect(100), make_exec(200, ("ssh",)), make_connect(200)]
    first, second = (fold(Engine(tunnel()), *events) for _ in range(2))
    assert [alert.id for alert in first] == [alert.id for alert in second]
    assert len({alert.id for alert in first}) == 2

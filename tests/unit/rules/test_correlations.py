"""Correlations, from their text to their alerts."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.rules.engine import Engine
from auditor.rules.pack import Absence, Pack
from tests.builders import SECOND, make_connect, make_exec
from tests.unit.rules.test_engine import fold
from tests.unit.rules.test_sigma import OTHER, RULE, problems, read

NETWORK = """\
title: Connection
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1002
name: connection
logsource: {product: linux, category: network_connection}
detection:
  selection: {DestinationScope: external}
  condition: selection
"""
COUNT = """\
title: Count
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1003
name: count
correlation:
  type: event_count
  rules: [a_rule]
  group-by: [ToolCallId]
  timespan: 10s
  condition: {gte: 2}
"""
VALUES = """\
title: Many hosts
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1003
name: many_hosts
correlation:
  type: value_count
  rules: [connection]
  group-by: [ToolCallId]
  timespan: 10s
  condition: {gte: 3, field: [DestinationIp, DestinationPort]}
"""
BOTH = """\
title: Both
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1003
name: both
correlation:
  type: temporal
  rules: [a_rule, connection]
  group-by: [ToolCallId]
  timespan: 10s
"""
CHAIN = """\
title: Chain
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1004
name: chain
correlation:
  type: temporal_ordered
  rules: [count, connection]
  group-by: [ToolCallId]
  timespan: 60s
"""


def ssh(pid: int, at_s: int, *args: str, call: int = 100):
    """Start ssh at a second."""
    return make_exec(pid, ("ssh", *args), call=call, time_ns=at_s * SECOND)


def connect(at_s: int, ip: str = "203.0.113.9", call: int = 100):
    """Connect at a second."""
    return make_connect(100, ip, call=call, time_ns=at_s * SECOND)


def fired(pack: Pack, *events) -> list[str]:
    """Give the names of the rules that alert."""
    return [alert.rule.name for alert in fold(Engine(pack), *events)]


def test_matches_of_one_tool_call_are_counted(tmp_path: Path) -> None:
    """Two in one call and window make the alert; its rules stay silent."""
    pack = read(tmp_path, RULE, COUNT)
    assert fired(pack, ssh(100, 10), ssh(100, 20)) == ["Count"]
    assert fired(pack, ssh(100, 10), ssh(100, 21)) == []
    assert fired(pack, ssh(100, 10), ssh(200, 11, call=200)) == []


def test_distinct_values_are_counted(tmp_path: Path) -> None:
    """Several fields count together."""
    pack = read(tmp_path, NETWORK, VALUES)
    hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
    assert fired(pack, *(connect(10, ip) for ip in hosts)) == ["Many hosts"]
    assert fired(pack, *(connect(10, hosts[0]) for _ in range(5))) == []


def test_rules_in_any_order(tmp_path: Path) -> None:
    """Without an order both directions count."""
    pack = read(tmp_path, RULE, NETWORK, BOTH)
    assert fired(pack, ssh(100, 10), connect(12)) == ["Both"]
    assert fired(pack, make_exec(100, ("x",), time_ns=9 * SECOND), connect(10), ssh(100, 12)) == ["Both"]
    assert fired(pack, ssh(100, 10), connect(21)) == []


def test_one_rule_and_not_another(tmp_path: Path) -> None:
    """An extended condition tells what must not be in the window."""
    pack = read(tmp_path, RULE, NETWORK, BOTH + "  condition: connection and not a_rule\n")
    assert fired(pack, ssh(100, 10), connect(12)) == []
    assert fired(pack, ssh(100, 10), connect(21)) == ["Both"]


def test_a_correlation_is_a_stage_of_another(tmp_path: Path) -> None:
    """The inner one is silent, and the outer one finds it wherever its file stands."""
    pack = read(tmp_path, CHAIN, RULE, NETWORK, COUNT)
    assert fired(pack, ssh(100, 10), ssh(100, 11), connect(30)) == ["Chain"]
    assert fired(pack, ssh(100, 10), connect(30)) == []


def test_an_alias_names_another_field_in_each_rule(tmp_path: Path) -> None:
    """What a program starts is grouped with the program."""
    aliased = BOTH.replace("[a_rule, connection]", "[a_rule, other_rule]").replace("[ToolCallId]", "[who]")
    aliased += "  aliases:\n    who: {a_rule: ProcessGuid, other_rule: ParentProcessGuid}\n"
    other = OTHER.replace("Image|endswith: /ssh", "Image|endswith: /nc")
    pack = read(tmp_path, RULE, other, aliased)
    child = make_exec(101, ("nc",), parent_tgid=100, call=100, time_ns=12 * SECOND)
    stranger = make_exec(102, ("nc",), parent_tgid=99, call=100, time_ns=12 * SECOND)
    assert fired(pack, ssh(100, 10), child) == ["Both"]
    assert fired(pack, ssh(100, 10), stranger) == []


def test_until_starts_a_group_anew(tmp_path: Path) -> None:
    """What came before a rule of `until` is forgotten, in its group alone."""
    pack = read(tmp_path, RULE, NETWORK, COUNT + "auditor: {until: [connection]}\n")
    assert fired(pack, ssh(100, 10), connect(11), ssh(100, 12)) == []
    other = make_connect(200, call=200, time_ns=11 * SECOND)
    start = make_exec(200, ("x",), time_ns=9 * SECOND)
    assert fired(pack, ssh(100, 10), start, other, ssh(100, 12)) == ["Count"]


def test_what_does_not_come_in_time_is_told(tmp_path: Path) -> None:
    """The events' own clock, by an event or a tick, decides; the alert has the deadline's time."""
    pack = read(tmp_path, RULE, NETWORK, COUNT + "auditor: {absent_after: {rule: connection, within: 30s}}\n")
    assert pack.correlations[0].absence == Absence("connection", 30 * SECOND)
    engine = Engine(pack)
    assert fold(engine, ssh(100, 10), ssh(100, 11)) == []
    assert engine.tick(42 * SECOND) == []
    (alert,) = engine.tick(42 * SECOND + 1)
    assert alert.time_ns == 41 * SECOND
    assert engine.tick(100 * SECOND) == []
    assert fired(pack, ssh(100, 10), ssh(100, 11), connect(41), connect(90)) == []
    late = make_exec(300, ("x",), time_ns=90 * SECOND)
    assert fired(pack, ssh(100, 10), ssh(100, 11), late) == ["Count"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("[a_rule]", "[no_rule]"), "rule1.yml:6: there is no rule 'no_rule'"),
        (("timespan: 10s", "timspan: 10s"), "rule1.yml:8: 'timspan' is not known in 'correlation'"),
        (("  timespan: 10s\n", ""), "a correlation needs a 'timespan'"),
        (("{gte: 2}", "{gte: 2, lte: 5}"), "rule1.yml:9: 'condition' holds one of"),
        (("{gte: 2}", "{gte: 2.5}"), "rule1.yml:9: 'gte' is a whole number"),
        (("{gte: 2}", "{gte: 99999}"), "rule1.yml:9: 'gte' is a whole number"),
        (("{gte: 2}", "{gte: 2, field: Image}"), "rule1.yml:9: value_count needs a 'field'"),
        (("event_count", "value_count"), "rule1.yml:9: value_count needs a 'field'"),
        (("{gte: 2}", "{gte: 2}\nauditor: {until: [x]}"), "rule1.yml:10: there is no rule 'x'"),
        (("{gte: 2}", "{gte: 2}\nauditor: {absent_after: x}"), "rule1.yml:10: 'absent_after' has"),
        (("event_count", "temporal"), None),
        (("event_count\n", "temporal\n  aliases: x\n"), "rule1.yml:6: 'aliases' maps"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], expected: str | None) -> None:
    """Each thing that can be wrong with a correlation has its message."""
    assert change[0] in COUNT
    if expected is None:
        assert read(tmp_path, RULE, COUNT.replace(*change)).correlations[0].count == 2
        return
    found = problems(tmp_path, RULE, COUNT.replace(*change))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a_rule and not no_rule", "there is no rule 'no_rule'"),
        ("a_rule and", "condition:"),
        ("not a_rule", "holds where nothing has happened"),
        ("[a_rule]", "'condition' is words"),
    ],
)
def test_a_mistake_in_an_extended_condition_is_told(tmp_path: Path, condition: str, expected: str) -> None:
    """A condition must be understood, and need something to happen."""
    found = problems(tmp_path, RULE, NETWORK, BOTH + f"  condition: {condition}\n")
    assert any("rule2.yml:9" in line and expected in line for line in found), found

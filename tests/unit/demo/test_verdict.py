"""Judging alerts."""

from __future__ import annotations

from auditor.demo.scenario import ToolCall
from auditor.demo.verdict import Caught, judge

WORK = ToolCall("compile", "cc hello.c")
TUNNEL = ToolCall("tunnel", "ssh -R", "rule-tunnel", "tunnel")
MINER = ToolCall("miner", "./m", "rule-miner", "login:m")
CALLS = (WORK, TUNNEL, MINER)
PIDS = {1: WORK, 2: TUNNEL, 3: MINER}


def alert(rule: str, pid: int) -> Caught:
    """Make an alert as the JSON output has it, and read it."""
    tree = [{"pid": pid, "executable": "/usr/bin/bash", "args": ["bash"]}, {"pid": 9, "executable": "/usr/bin/ssh"}]
    return Caught.of({"rule": {"id": rule, "name": rule.title()}, "auditor": {"tree": tree if pid else []}})


def test_exactly_the_expected_alerts_are_good() -> None:
    """One alert by its rule for each offence, and the verdict is good; it names the tree."""
    verdict = judge(CALLS, PIDS, [alert("rule-tunnel", 2), alert("rule-miner", 3)])
    assert verdict.good
    lines = list(verdict.lines())
    assert lines[0] == "caught   tunnel: Rule-Tunnel (bash > ssh)"
    assert len(lines) == 3


def test_missed_offence_is_bad() -> None:
    """An offence without its own alert is missed, also when another rule alerted."""
    verdict = judge(CALLS, PIDS, [alert("rule-tunnel", 2), alert("rule-tunnel", 3)])
    assert not verdict.good
    assert verdict.missed == (MINER,)
    assert "MISSED   miner: no alert by rule rule-miner" in list(verdict.lines())


def test_alerts_nobody_asked_for_are_bad() -> None:
    """An ordinary call's alert, a repeated one, and one that names no call each spoil the verdict."""
    wanted = [alert("rule-tunnel", 2), alert("rule-miner", 3)]
    for extra in (alert("rule-tunnel", 1), alert("rule-tunnel", 2), alert("rule-miner", 0)):
        verdict = judge(CALLS, PIDS, [*wanted, extra])
        assert not verdict.good
        assert [caught for _, caught in verdict.unasked] == [extra]


def test_ended_early_is_bad() -> None:
    """Calls that were never made are told as such, not as missed."""
    verdict = judge(CALLS, {1: WORK}, [])
    assert not verdict.good
    assert verdict.unplayed == (TUNNEL, MINER)
    assert verdict.missed == ()

"""The tool calls as they are written."""

from __future__ import annotations

import subprocess

import pytest

from auditor import assets
from auditor.demo.scenario import GPU_MINING, MINER, REVERSE_TUNNEL, RULES, scenario


@pytest.mark.parametrize(
    ("tools", "offences"),
    [
        (("cc", "git"), [REVERSE_TUNNEL, MINER, MINER, GPU_MINING]),
        ((), [REVERSE_TUNNEL, MINER, GPU_MINING]),
    ],
)
def test_offences_come_after_work(tools: tuple[str, ...], offences: list[str]) -> None:
    """Ordinary calls come first and last; every offence has its rule and an effect that proves it."""
    calls = scenario(tools)
    assert [call.offence for call in calls if call.offence] == offences
    assert calls[0].offence is None
    assert calls[-1].offence is None
    assert all(bool(call.offence) == bool(call.effect) for call in calls)
    assert len({call.name for call in calls}) == len(calls)


def test_rules_are_those_of_the_pack() -> None:
    """Each rule that the demo counts on is in the pack, under the name that the demo gives it."""
    pack = {path.stem: path.read_text() for path in assets.rules().rglob("*.yml")}
    for number, name in RULES.items():
        assert f"\nid: {number}\n" in pack[name]
    assert {call.kind for call in scenario(())} == {"ordinary", *RULES.values()}


def test_work_holds_look_alikes() -> None:
    """Some ordinary calls speak of what only an offence does."""
    assert any("ssh -R" in call.command for call in scenario(("git",)) if not call.offence)


@pytest.mark.parametrize("tools", [("cc", "git"), ()])
def test_commands_are_bash(tools: tuple[str, ...]) -> None:
    """Every command is one that bash can parse."""
    for call in scenario(tools):
        assert subprocess.run(["bash", "-n", "-c", call.command], check=False).returncode == 0


def test_missing_tools_are_not_called() -> None:
    """Without a compiler and git, no call uses them."""
    words = {word for call in scenario(()) for word in call.command.split()}
    assert not words & {"cc", "git"}

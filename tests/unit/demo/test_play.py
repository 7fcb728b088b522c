"""The scenario played before an auditor that is a pipe."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from auditor.demo.play import Play
from auditor.demo.scenario import ToolCall
from auditor.demo.stage import Outcome

CALLS = (ToolCall("work", "true"), ToolCall("tunnel", "ssh", "rule-1", "tunnel"), ToolCall("more work", "true"))


class Agent:
    """Makes calls, and has the auditor notice the offences at once."""

    def __init__(self, alerts: int) -> None:
        self.calls = CALLS
        self.made: list[str] = []
        self._alerts = alerts

    def make(self, call: ToolCall) -> Outcome:
        """Make a call; its pid is its place."""
        self.made.append(call.name)
        pid = 100 + len(self.made)
        if call.offence:
            document = {"rule": {"id": call.offence, "name": "R"}, "auditor": {"tree": [{"pid": pid}]}}
            os.write(self._alerts, json.dumps(document).encode() + b"\n")
        return Outcome(call, pid, 0, "", "")


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """Give two pipes: ready and alerts, reading end first."""
    ends = (*os.pipe(), *os.pipe())
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_all_calls_are_made_once_cued(pipes: tuple[int, int, int, int]) -> None:
    """After the cue every call is made, alerts are matched with calls, and the verdict is good."""
    ready, cue, alerts, auditor = pipes
    agent = Agent(auditor)
    play = Play(agent, ready, alerts)
    os.write(cue, b"\n")
    play.run(0, 0)
    assert agent.made == [call.name for call in CALLS]
    assert not play.over()
    os.close(auditor)
    assert play.end().good


def test_nothing_is_played_without_an_audit(pipes: tuple[int, int, int, int]) -> None:
    """An auditor that ends before it was ready leaves every call unplayed."""
    ready, cue, alerts, auditor = pipes
    agent = Agent(auditor)
    play = Play(agent, ready, alerts)
    os.close(cue)
    play.run(0, 0)
    assert agent.made == []
    assert play.over()
    assert play.end().unplayed == CALLS


def test_play_ends_with_the_audit(pipes: tuple[int, int, int, int]) -> None:
    """When the audit ends, no further call is made, and no pause is sat out."""
    ready, cue, alerts, auditor = pipes
    agent = Agent(auditor)
    play = Play(agent, ready, alerts)
    os.write(cue, b"\n")
    os.close(auditor)
    play.run(3600, 3600)
    assert agent.made == ["work"]
    assert play.over()

"""The scenario played before the auditor: the agent acts once it is watched, and each offence waits for its alert."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Final, Protocol

from auditor.demo.scenario import ToolCall
from auditor.demo.stage import Outcome
from auditor.demo.verdict import Caught, Verdict, judge

ALERT_SECONDS: Final = 5.0
"""How long an offence's alert is waited for. The promise is one second."""

LAST_SECONDS: Final = 1.5
"""How long alerts that nobody asked for are waited for, at the end."""

READ_SIZE: Final = 1 << 16


class Agent(Protocol):
    """What a play needs of the stage."""

    calls: tuple[ToolCall, ...]

    def make(self, call: ToolCall) -> Outcome:
        """Have the agent make a tool call."""


class Play:
    """One play of the scenario, and the alerts that it raised."""

    def __init__(self, agent: Agent, ready: int, alerts: int) -> None:
        """`ready`: a descriptor that the auditor writes to once it watches. `alerts`: one with a JSON line an alert."""
        self._agent = agent
        self._ready = ready
        self._alerts = alerts
        self._text = b""
        self._caught: list[Caught] = []
        self._pids: dict[int, ToolCall] = {}
        self._ended = False

    def run(self, pace: float, patience: float) -> None:
        """Make every call, `pace` seconds apart; wait up to `patience` seconds for an offence's alert."""
        self._ended = not os.read(self._ready, 1)
        for call in self._agent.calls:
            if self._ended:
                return
            outcome = self._agent.make(call)
            self._pids[outcome.pid] = call
            if call.offence is not None:
                self._wait(patience, outcome.pid)
            self._wait(pace)
        self._wait(min(LAST_SECONDS, patience))

    def over(self) -> bool:
        """Tell whether the audit has ended."""
        self._wait(0)
        return self._ended

    def end(self) -> Verdict:
        """Take the alerts up to the end of the audit, and judge."""
        while not self._ended:
            self._take()
        return judge(self._agent.calls, self._pids, self._caught)

    def _wait(self, seconds: float, pid: int | None = None) -> None:
        """Take alerts until one is charged to the tool call that `pid` began, the audit ends, or time is up."""
        deadline = time.monotonic() + seconds
        while not self._ended and all(alert.pid != pid for alert in self._caught):
            readable, _, _ = select.select([self._alerts], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return
            self._take()

    def _take(self) -> None:
        data = os.read(self._alerts, READ_SIZE)
        self._ended = not data
        *lines, self._text = (self._text + data).split(b"\n")
        self._caught += [Caught.of(json.loads(line)) for line in lines]

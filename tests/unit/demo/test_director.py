"""The director's judgement."""

from __future__ import annotations

import os

from auditor.demo.director import direct
from auditor.demo.play import Play
from auditor.demo.scenario import ToolCall
from auditor.demo.stage import Outcome


class Agent:
    """Makes calls that raise no alert."""

    calls = (ToolCall("work", "true"),)

    def make(self, call: ToolCall) -> Outcome:
        """Make a call."""
        return Outcome(call, 1, 0, "", "")


def test_verdict_is_told() -> None:
    """A play to the end, with an audit that has ended, is judged and told in lines."""
    (ready, cue), (alerts, auditor) = os.pipe(), os.pipe()
    os.write(cue, b"\n")
    os.close(auditor)
    told = direct(Play(Agent(), ready, alerts), 0, 0, keep=False)
    assert told["good"] is True
    assert told["lines"][-1].startswith("All 0 offences caught")
    for end in (ready, cue, alerts):
        os.close(end)

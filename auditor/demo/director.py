"""The director: a process of its own that sets up the stage, plays the scenario when cued, and judges the alerts.

It stands apart from the live run, which so is exactly the one that `auditor run` makes. Run by `auditor.demo.show`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any, Final

from auditor.demo.channel import on_standard_input
from auditor.demo.play import Play
from auditor.demo.stage import Stage, stop_on
from auditor.errors import AuditorError

PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal to get when the parent ends."""


def direct(play: Play, pace: float, patience: float, *, keep: bool) -> dict[str, Any]:
    """Play and judge; unless `keep`, end the parent's live run after the last call, as Ctrl-C would."""
    parent = os.getppid()
    try:
        play.run(pace, patience)
    except AuditorError as error:
        if not play.over():
            os.kill(parent, signal.SIGINT)
        return {"failure": str(error)}
    if not (keep or play.over()):
        os.kill(parent, signal.SIGINT)
    verdict = play.end()
    return {"good": verdict.good, "lines": list(verdict.lines())}


def main(ready: str, alerts: str, pace: str, patience: str, keep: str) -> None:
    """Run: `python -m auditor.demo.director READY ALERTS PACE PATIENCE keep|end`, the first two being descriptors."""
    signal.signal(signal.SIGTERM, stop_on)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    channel = on_standard_input()
    try:
        with Stage() as stage:
            channel.send(event="hello", agent_pid=stage.agent_pid)
            play = Play(stage, int(ready), int(alerts))
            verdict = direct(play, float(pace), float(patience), keep=keep == "keep")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is left to do is to end
            channel.send(event="verdict", **verdict)
    except AuditorError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])

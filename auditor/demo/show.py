"""The demo as its command sees it: a director in another process, and what the live run is to be given."""

from __future__ import annotations

import contextlib
import os
from typing import BinaryIO, Final, Self

from auditor.demo.play import ALERT_SECONDS
from auditor.demo.program import PYTHON, Program
from auditor.errors import HostError

VERDICT_SECONDS: Final = 90.0
"""A tool call that is under way comes to its end first."""


class Show:
    """From `with`, when the stage is set and the agent waits, to the end of it, when all is gone."""

    def __init__(self, pace: float, *, patience: float = ALERT_SECONDS, keep: bool = False) -> None:
        """`pace`: seconds between tool calls. `patience`: seconds that an alert is waited for.

        `keep`: do not end the live run after the last call.
        """
        self._arguments = (str(pace), str(patience), "keep" if keep else "end")
        self._exits = contextlib.ExitStack()
        self.agent_pid = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            with contextlib.ExitStack() as theirs:
                ready, self._ready = _pipe(theirs, undo)
                alerts, self._alerts = _pipe(theirs, undo)
                command = (*PYTHON, "auditor.demo.director", str(ready), str(alerts), *self._arguments)
                self._director = undo.enter_context(Program(*command, descriptors=[ready, alerts]))
            self.agent_pid = self._director.hello["agent_pid"]
            self._exits = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def alerts(self) -> int:
        """The descriptor that the live run is to write every alert to, as a JSON line."""
        return self._alerts.fileno()

    def cue(self) -> None:
        """Let the agent go: it is being watched. May be called in a forked process."""
        self._ready.write(b"\n")

    def verdict(self) -> tuple[bool, list[str]]:
        """After the live run: whether exactly the expected alerts came, and lines that tell it to people."""
        self._ready.close()
        self._alerts.close()
        document = self._director.expect("verdict", VERDICT_SECONDS).document
        if "failure" in document:
            raise HostError(document["failure"])
        return document["good"], document["lines"]


def _pipe(theirs: contextlib.ExitStack, ours: contextlib.ExitStack) -> tuple[int, BinaryIO]:
    reading, writing = os.pipe()
    theirs.callback(os.close, reading)
    return reading, ours.enter_context(os.fdopen(writing, "wb", buffering=0))

"""A program of the demo in a process of its own: started, spoken with, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from auditor.demo.channel import Channel, Message, pair
from auditor.errors import AuditorError, HostError

HELLO_SECONDS: Final = 60.0
END_SECONDS: Final = 20.0

ROOT: Final = Path(__file__).parents[2]
"""The directory that this package was imported from; the demo's programs are started there."""

PYTHON: Final = (sys.executable, "-E", "-s", "-m")
"""Starts a module of this package, whatever the environment names. Root runs it."""


class Program:
    """A running program, from its hello on; `with` ends it and waits until it is gone."""

    def __init__(self, *command: str, descriptors: Sequence[int] = (), end: signal.Signals = signal.SIGTERM) -> None:
        """`descriptors`: to be inherited. `end`: what to end the sender of the hello with."""
        self._command = command
        self._descriptors = tuple(descriptors)
        self._end = end
        self._exits = contextlib.ExitStack()
        self.pid = 0
        """The process that said hello, as this side numbers it."""
        self.hello: dict[str, Any] = {}
        """What the program said of itself when it was ready to be spoken to."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._errors = undo.enter_context(tempfile.TemporaryFile())
            ours, theirs = pair()
            self._channel = Channel(ours)
            with theirs:
                process = subprocess.Popen(
                    self._command,
                    stdin=theirs.fileno(),
                    stdout=self._errors,
                    stderr=self._errors,
                    cwd=ROOT,
                    pass_fds=self._descriptors,
                    start_new_session=True,  # Ctrl-C is for the demo's command, which ends its programs in order
                )
            undo.callback(_wait, process)
            undo.callback(self._channel.close)
            message = self.expect("hello", HELLO_SECONDS)
            self.pid, self.hello = message.pid, message.document
            descriptor = os.pidfd_open(message.pid)
            undo.callback(os.close, descriptor)
            undo.callback(_send, descriptor, self._end)
            self._exits = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def say(self, **document: Any) -> None:
        """Tell the program something."""
        try:
            self._channel.send(**document)
        except OSError:
            raise self.gone() from None

    def expect(self, event: str, timeout: float) -> Message:
        """Wait for an event of the program, in seconds."""
        try:
            message = self._channel.expect(event, timeout)
        except TimeoutError:
            raise AuditorError(f"the demo waited {timeout:.0f} s in vain for {event!r}") from None
        if message is None:
            raise self.gone()
        return message

    def gone(self) -> HostError:
        """Say why the program ended, by its last words."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return HostError(lines[-1] if lines else f"the demo's program ended early: {' '.join(self._command)}")


def _send(descriptor: int, end: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, end)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""A room of the stage: one program in network, pid and mount namespaces of its own.

The namespaces have no names. They are gone when their last process is, and the kernel kills every process of a pid
namespace with its first one; so a room leaves nothing behind, even when the demo is killed with -9: the room's program
ends when its conversation with the stage does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from auditor.demo.channel import Channel, Message, pair
from auditor.errors import AuditorError, HostError

HELLO_SECONDS: Final = 20.0
END_SECONDS: Final = 10.0

ROOT: Final = Path(__file__).parents[2]
"""The directory that this package was imported from."""


class Room:
    """A program in its own namespaces, from `with` to the end of it."""

    def __init__(self, module: str, *arguments: str, descriptors: Sequence[int] = ()) -> None:
        self._module = module
        self._arguments = arguments
        self._descriptors = tuple(descriptors)
        self._exits = contextlib.ExitStack()
        self.pid = 0
        """The room's first process, as this side numbers it."""
        self.hello: dict[str, Any] = {}
        """What the program said of itself when it was ready to be spoken to."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._errors = undo.enter_context(tempfile.TemporaryFile())
            ours, theirs = pair()
            self._channel = Channel(ours)
            with theirs:
                process = self._start(theirs)
            undo.callback(_end, process)
            undo.callback(self._channel.close)
            message = self.expect("hello", HELLO_SECONDS)
            self.pid, self.hello = message.pid, message.document
            undo.callback(_kill, _descriptor_of(undo, message.pid))
            self._exits = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def say(self, **document: Any) -> None:
        """Tell the room's program something."""
        try:
            self._channel.send(**document)
        except OSError:
            raise self.gone() from None

    def expect(self, event: str, timeout: float) -> Message:
        """Wait for an event of the room's program, in seconds."""
        try:
            message = self._channel.expect(event, timeout)
        except TimeoutError:
            raise AuditorError(f"the demo waited {timeout:.0f} s in vain for {event!r} of {self._module}") from None
        if message is None:
            raise self.gone()
        return message

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        namespaces = ["unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child", "--"]
        program = [sys.executable, "-m", self._module, *self._arguments]
        return subprocess.Popen(
            [*namespaces, *program],
            stdin=theirs,
            stdout=self._errors,
            stderr=self._errors,
            cwd=ROOT,
            pass_fds=self._descriptors,
            # Ctrl-C is for the demo, which then ends the rooms in order.
            start_new_session=True,
        )

    def gone(self) -> HostError:
        """Say why the program ended, by its last words."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return HostError(f"the demo's stage fell: {lines[-1] if lines else self._module + ' ended early'}")


def _descriptor_of(undo: contextlib.ExitStack, pid: int) -> int:
    descriptor = os.pidfd_open(pid)
    undo.callback(os.close, descriptor)
    return descriptor


def _kill(descriptor: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for `unshare`, which waits for the room's first process, which dies after all others in the room."""
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

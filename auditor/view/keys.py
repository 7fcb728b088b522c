"""The keyboard of a terminal: pressed keys by name, and the terminal's settings given back as they were."""

from __future__ import annotations

import os
import re
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

NAMES: Final = {
    b"q": "quit",
    b"Q": "quit",
    b"\x03": "quit",  # Ctrl-C, where the terminal makes no signal of it
    b"k": "up",
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"j": "down",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x0c": "redraw",  # Ctrl-L
}
"""What a key asks for."""

_CHUNK: Final = 1024
# A control sequence (ECMA-48 5.4), a key of the VT keypad, Escape itself, or one byte. A sequence that is broken off
# by the next Escape is whole, too: nothing more will come of it.
_KEY: Final = re.compile(
    rb"\x1b\[[ -?]*(?:[^ -?\x1b]|(?=\x1b))|\x1bO(?:[^\x1b]|(?=\x1b))|\x1b(?=[^\[O])|[^\x1b]", re.DOTALL
)
_PENDING: Final = 32
"""Longest unfinished control sequence that is waited for, in bytes."""


class Keys:
    """The keys pressed on a terminal that was opened for reading as `fd`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._before: list[Any] | None = None
        self._pending = b""

    def take(self) -> bool:
        """Have keys arrive one by one and unseen. False where another job has the terminal: then it is left alone.

        Ctrl-C still makes a signal. Ctrl-Z does not (the shell would come back on the wrong screen), nor does Ctrl-S
        stop the output (the drawing thread would hang in a write).
        """
        if _is_somebody_elses(self.fd):
            return False
        settings = termios.tcgetattr(self.fd)
        self._before = [*settings[:6], list(settings[6])]
        settings[0] &= ~termios.IXON
        settings[3] &= ~(termios.ICANON | termios.ECHO)
        control = settings[6]
        control[termios.VMIN], control[termios.VTIME] = 1, 0
        control[termios.VSUSP] = os.fpathconf(self.fd, "PC_VDISABLE").to_bytes(1, "little")
        with _uninterrupted():
            termios.tcsetattr(self.fd, termios.TCSANOW, settings)
        return True

    def give_back(self) -> None:
        """Restore the settings that `take` found, once."""
        before, self._before = self._before, None
        if before is not None:
            with _uninterrupted():
                termios.tcsetattr(self.fd, termios.TCSANOW, before)

    def read(self) -> list[str] | None:
        """Read the keys that are there, by name; unknown ones are left out. None: the terminal is gone."""
        try:
            data = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self.names(data) if data else None

    def names(self, data: bytes) -> list[str]:
        """Name the keys in these bytes. The begin of a control sequence waits for its end."""
        data = self._pending + data
        end = 0
        found = []
        while match := _KEY.match(data, end):
            end = match.end()
            found.append(NAMES.get(match[0]))
        rest = data[end:]
        self._pending = rest if len(rest) <= _PENDING else b""
        return [name for name in found if name is not None]


def _is_somebody_elses(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:  # not the terminal that controls this process: it knows no jobs
        return False


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep the kernel from stopping the process for setting a terminal that another job took meanwhile."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

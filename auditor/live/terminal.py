"""The terminal, put back as it was whatever becomes of the process that draws on it."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LEAVE = b"\x1b[?1049l\x1b[?25h"
"""Back to the terminal's main screen, cursor shown (xterm's control sequences, which every terminal in use knows)."""


@contextmanager
def kept_terminal() -> Iterator[None]:
    """Remember the settings of the terminal on standard input, if there is one, and restore what was left changed."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        with suppress(termios.error, OSError):
            if termios.tcgetattr(0) != before:  # the drawing process died before it could
                termios.tcsetattr(0, termios.TCSADRAIN, before)
                os.write(0, _LEAVE)

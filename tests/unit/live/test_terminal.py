"""The terminal, put back."""

from __future__ import annotations

import os
import pty
import termios
import tty
from collections.abc import Iterator

import pytest

from auditor.live.terminal import kept_terminal


@pytest.fixture
def terminal() -> Iterator[int]:
    """Have a pseudo-terminal as standard input; gives its other end."""
    far, near = pty.openpty()
    before = os.dup(0)
    os.dup2(near, 0)
    os.close(near)
    yield far
    os.dup2(before, 0)
    os.close(before)
    os.close(far)


def test_changed_terminal_is_restored(terminal: int) -> None:
    """A terminal left raw, as by a view that was killed, gets its settings, screen and cursor back."""
    before = termios.tcgetattr(0)
    with kept_terminal():
        tty.setraw(0)
        assert termios.tcgetattr(0) != before
    assert termios.tcgetattr(0) == before
    assert os.read(terminal, 100) == b"\x1b[?1049l\x1b[?25h"


def test_restored_after_an_error(terminal: int) -> None:
    """It is restored when the run fails, and the failure goes on."""
    before = termios.tcgetattr(0)

    def fail() -> None:
        tty.setraw(0)
        raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"), kept_terminal():
        fail()
    assert termios.tcgetattr(0) == before


def test_unchanged_terminal_is_left_alone(terminal: int) -> None:
    """Nothing is written to a terminal that is as it was."""
    with kept_terminal():
        pass
    os.set_blocking(terminal, False)
    with pytest.raises(BlockingIOError):
        os.read(terminal, 100)


def test_terminal_that_hangs_up(terminal: int) -> None:
    """A terminal that went away meanwhile is no error."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    with kept_terminal():
        tty.setraw(0)
        os.dup2(nothing, 0)
    os.close(nothing)
    assert not os.isatty(0)


def test_without_a_terminal() -> None:
    """Where standard input is no terminal there is nothing to do."""
    before = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    try:
        with kept_terminal():
            assert not os.isatty(0)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(nothing)

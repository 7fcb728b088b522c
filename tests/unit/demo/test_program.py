"""Programs in processes of their own."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from auditor.demo.program import Program
from auditor.errors import AuditorError, HostError

ECHO = """
import os
from auditor.demo.channel import on_standard_input
channel = on_standard_input()
channel.send(event="hello", name="echo")
while (message := channel.receive()) is not None:
    channel.send(event=message.document["word"])
"""


def program(text: str, end: signal.Signals = signal.SIGTERM) -> Program:
    """Make a program of Python text."""
    return Program(sys.executable, "-c", text, end=end)


def test_conversation() -> None:
    """A program is known by its pid and hello, answers, and is gone after the end."""
    with program(ECHO) as echo:
        assert echo.hello["name"] == "echo"
        os.kill(echo.pid, 0)
        echo.say(word="b")
        echo.say(word="a")
        assert echo.expect("a", 10).pid == echo.pid
        assert echo.expect("b", 10).pid == echo.pid
    with pytest.raises(ProcessLookupError):
        os.kill(echo.pid, 0)


def test_last_words_are_passed_on() -> None:
    """A program that ends before its hello is an error that says what it said last."""
    with pytest.raises(HostError, match=r"^install this$"), program("import sys; print('x'); sys.exit('install this')"):
        pass


def test_silent_end_names_the_program() -> None:
    """A program that ends later, without a word, is named."""
    with program(ECHO) as echo:
        os.kill(echo.pid, signal.SIGKILL)
        with pytest.raises(HostError, match="ended early"):
            echo.expect("anything", 10)


def test_waiting_in_vain_is_told() -> None:
    """What does not come in time is an error that names it."""
    with program(ECHO) as echo, pytest.raises(AuditorError, match="in vain for 'rain'"):
        echo.expect("rain", 0)


def test_stubborn_program_is_ended() -> None:
    """The end that was asked for is sent: here one that cannot be ignored."""
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ECHO
    with program(stubborn, signal.SIGKILL) as running:
        pid = running.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

"""The keyboard of a terminal."""

import fcntl
import os
import pty
import subprocess
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.view.keys import Keys


@pytest.fixture
def terminal():
    """Give both ends of a pseudo-terminal: what the user holds, what the program holds."""
    master, slave = pty.openpty()
    yield master, slave
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"q", ["quit"]),
        (b"\x03", ["quit"]),
        (b"jk", ["down", "up"]),
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        (b"x\x1b[5~\x1b[1;5C\x1bq", ["quit"]),
        (b"\x1b[200~jjj\x1b[201~", ["down"] * 3),
        (b"\xff\x00", []),
    ],
)
def test_keys_have_names(data, names):
    """Known keys are named, all others are left out; a letter inside a control sequence is no key."""
    assert Keys(-1).names(data) == names


def test_a_sequence_may_come_in_parts():
    """An arrow key whose bytes arrive one by one is still one key."""
    keys = Keys(-1)
    assert [keys.names(bytes([byte])) for byte in b"\x1b[Aq"] == [[], [], ["up"], ["quit"]]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_any_input_is_taken(chunks):
    """No input makes it fail, or makes what it keeps grow."""
    keys = Keys(-1)
    for chunk in chunks:
        assert set(keys.names(chunk)) <= {"quit", "up", "down", "redraw"}
        assert len(keys._pending) <= 32


def test_settings_are_given_back(terminal):
    """While keys are taken there is no echo and no line to end; afterwards all is as it was."""
    _, slave = terminal
    before = termios.tcgetattr(slave)
    keys = Keys(slave)
    assert keys.take()
    during = termios.tcgetattr(slave)
    keys.give_back()
    assert not during[3] & (termios.ICANON | termios.ECHO)
    assert during[3] & termios.ISIG
    assert not during[0] & termios.IXON
    assert during[6][termios.VSUSP] == b"\0"
    assert before[3] & termios.ICANON
    assert termios.tcgetattr(slave) == before


BACKGROUND = """
import os, sys, termios
from auditor.view.keys import Keys

child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    before = termios.tcgetattr(0)
    taken = Keys(0).take()
    os._exit(taken or termios.tcgetattr(0) != before)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, os.WUNTRACED)[1]) or not Keys(0).take())
"""


def test_a_job_in_the_background_leaves_the_terminal_alone(terminal):
    """Only the job in the foreground may set the terminal; another one would be stopped, or spoil it for that one."""
    _, slave = terminal
    program = subprocess.run(
        [sys.executable, "-c", BACKGROUND],
        stdin=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        check=False,
    )
    assert program.returncode == 0


def test_giving_back_twice_changes_nothing(terminal):
    """Settings that somebody made after the view ended are left alone."""
    _, slave = terminal
    keys = Keys(slave)
    keys.take()
    keys.give_back()
    settings = termios.tcgetattr(slave)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    keys.give_back()
    assert not termios.tcgetattr(slave)[3] & termios.ECHO


def test_keys_are_read_as_they_are_pressed(terminal):
    """No newline is needed."""
    master, slave = terminal
    keys = Keys(slave)
    keys.take()
    os.write(master, b"j\x1b[A")
    assert keys.read() == ["down", "up"]


def test_a_terminal_that_went_away_is_told():
    """Its end is not taken for a key."""
    master, slave = pty.openpty()
    os.close(master)
    assert Keys(slave).read() is None
    os.close(slave)


def test_nothing_there_is_no_end(terminal):
    """A terminal that somebody made non-blocking has no key yet."""
    _, slave = terminal
    os.set_blocking(slave, False)
    assert Keys(slave).read() == []

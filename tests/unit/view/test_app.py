"""The live view on a real pseudo-terminal, read by a terminal emulator."""

import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import pyte
import pytest

from auditor.errors import AuditorError
from auditor.sinks.snapshot import Snapshot
from auditor.sinks.tally import Tally
from auditor.view.app import LiveView, can_draw
from auditor.view.glyphs import ASCII, UNICODE
from auditor.view.screen import Selection, frame
from tests.unit.view.scene import TUNNEL, connect, make_agent, make_alert, make_call, make_process, make_rome, run

PATIENCE = 20.0
"""Seconds until something that should happen is taken not to happen."""
OTHER_SCREEN = 1049 << 5  # as pyte keeps private modes
HOSTILE = (
    "\x1b]0;owned\x07\x1b[?1049l\x1b[2J\x1b[H\x1b[31mred\x1b[?25h",
    "\r\n" * 60,
    "\x9b2J\x90q\x9c\x1b[6n\x1bc\x0e\x08\x08\x7f",
    "\u202e66.311.0.302\u2066\u200b\ufeff\u2028\u0301" * 5,
    "[bold red]markup[/] :boom:",
)


class Terminal:
    """A terminal: `screen` is what a person would see, `stream` is the program's end of it."""

    def __init__(self, columns=80, lines=24, encoding="utf-8"):
        self.master, self.slave = pty.openpty()
        self.stream = os.fdopen(os.dup(self.slave), "w", encoding=encoding)
        self.screen = pyte.Screen(columns, lines)
        self._parser = pyte.ByteStream(self.screen)
        self.resize(columns, lines)
        self.settings = termios.tcgetattr(self.slave)
        self.raw = b""

    def resize(self, columns, lines):
        """Resize as a terminal's window does."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, condition):
        """Read what is drawn until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.screen.display)
            self.read(0.05)

    def read(self, patience=0.0):
        """Read all that has been drawn."""
        while select.select([self.master], [], [], patience)[0]:
            data = os.read(self.master, 65_536)
            self.raw += data
            self._parser.feed(data)

    def shows(self, text):
        """Tell whether a text is on the screen."""
        return any(text in line for line in self.screen.display)

    def press(self, keys):
        """Press keys."""
        os.write(self.master, keys)

    @property
    def is_as_found(self):
        """Tell whether cursor, screen and settings are as they were before the view."""
        self.read()
        calm = not self.screen.cursor.hidden and OTHER_SCREEN not in self.screen.mode
        return calm and termios.tcgetattr(self.slave) == self.settings

    def close(self):
        """Hang up."""
        self.stream.close()
        for fd in (self.master, self.slave):
            os.close(fd)


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def terminal():
    """Give a terminal of 80 by 24."""
    terminal = Terminal()
    yield terminal
    terminal.close()


def view(terminal, snapshot=None, on_quit=lambda: None, **options):
    """Make a view on a terminal with its keys."""
    get_snapshot = snapshot if callable(snapshot) else lambda: snapshot or make_rome()[0].snapshot()
    return LiveView(terminal.stream, get_snapshot, on_quit, keys=terminal.slave, per_second=50, **options)


def test_the_screen_is_the_frame(terminal):
    """What a person sees is what the panels made, on the other screen and without a cursor."""
    snapshot = make_rome()[0].snapshot()
    with view(terminal, snapshot):
        terminal.until(lambda: terminal.shows("alert 1 of 2"))
        assert OTHER_SCREEN in terminal.screen.mode
        assert terminal.screen.cursor.hidden
    expected = frame(snapshot, Selection(), 80, 24, UNICODE).text.split("\n")
    assert [line.rstrip() for line in terminal.screen.display] == expected
    assert terminal.is_as_found


def test_stopping_twice_is_stopping_once(terminal):
    """A second stop does nothing."""
    live = view(terminal)
    live.start()
    live.stop()
    terminal.read()
    drawn = terminal.raw
    live.stop()
    terminal.read()
    assert terminal.raw == drawn
    assert terminal.is_as_found


def test_changes_are_drawn(terminal):
    """A new snapshot is on the screen soon, and only the lines that differ are written again."""
    snapshots = [Snapshot(tracked=1)]
    with view(terminal, lambda: snapshots[-1]):
        terminal.until(lambda: terminal.shows("watching 1 task,"))
        drawn = len(terminal.raw)
        snapshots.append(Snapshot(tracked=2))
        terminal.until(lambda: terminal.shows("watching 2 tasks,"))
        assert len(terminal.raw) - drawn < drawn / 2


def test_resizing_redraws(terminal):
    """After the window changed its size the frame fills it exactly, smaller or larger."""
    snapshot = make_rome()[0].snapshot()
    with view(terminal, snapshot):
        for columns, lines in ((200, 60), (50, 12)):
            terminal.resize(columns, lines)
            expected = frame(snapshot, Selection(), columns, lines, UNICODE).text.split("\n")
            terminal.until(lambda: [line.rstrip() for line in terminal.screen.display] == expected)  # noqa: B023
    assert terminal.is_as_found


@pytest.mark.parametrize("cause", ["resize", "key"])
def test_a_screen_that_was_disturbed_is_drawn_anew(terminal, cause):
    """A new size, or Ctrl-L, draws every line again, also those that have not changed."""
    with view(terminal):
        terminal.until(lambda: terminal.shows("alert 1 of 2"))
        terminal.screen.erase_in_display(2)
        assert not terminal.shows("auditor on node-1")
        if cause == "resize":
            terminal.resize(80, 30)
        else:
            terminal.press(b"\x0c")
        terminal.until(lambda: terminal.shows("auditor on node-1") and terminal.shows("alert 1 of 2"))


def test_a_terminal_without_a_size_is_80_by_24():
    """A serial line does not know its size."""
    terminal = Terminal()
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    with view(terminal):
        terminal.until(lambda: terminal.screen.display[23].startswith(" q quit"))
    terminal.close()


def test_keys_choose_the_alert(terminal):
    """Arrows and j, k move the selection, and the tree below follows."""
    with view(terminal):
        terminal.until(lambda: terminal.shows("└─ tool call t9"))
        terminal.press(b"\x1b[B")
        terminal.until(lambda: terminal.shows("└─ tool call t7") and terminal.shows("alert 2 of 2"))
        terminal.press(b"k")
        terminal.until(lambda: terminal.shows("└─ tool call t9"))


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_quitting_is_asked_for(terminal, key):
    """The view does not end the program; it tells whoever does. Ctrl-C is a signal where the terminal makes it one."""
    settings = termios.tcgetattr(terminal.slave)
    settings[3] &= ~termios.ISIG
    termios.tcsetattr(terminal.slave, termios.TCSANOW, settings)
    terminal.settings = termios.tcgetattr(terminal.slave)
    asked = threading.Event()
    with view(terminal, on_quit=asked.set):
        terminal.press(key)
        assert asked.wait(PATIENCE)
    assert terminal.is_as_found


def test_without_keys_the_input_is_left_alone(terminal):
    """Where another program reads the terminal, its settings stay and nothing is taken from it."""
    with LiveView(terminal.stream, Snapshot, lambda: None, per_second=50):
        terminal.until(lambda: terminal.shows("no alerts"))
        assert termios.tcgetattr(terminal.slave) == terminal.settings
        terminal.press(b"q\n")
        assert os.read(terminal.slave, 10) == b"q\n"


def test_a_failure_leaves_the_terminal_and_is_told(terminal):
    """When a snapshot cannot be had, the terminal is given back at once, and `stop` raises the reason."""
    asked = threading.Event()

    def fail():
        raise LookupError("no snapshot")

    live = view(terminal, fail, on_quit=asked.set)
    live.start()
    assert asked.wait(PATIENCE)
    assert terminal.is_as_found
    with pytest.raises(LookupError, match="no snapshot"):
        live.stop()


def test_the_callers_own_failure_comes_first(terminal):
    """An exception inside the `with` block leaves the terminal in order and is not replaced."""

    def body():
        with view(terminal):
            terminal.until(lambda: terminal.shows("alert 1 of 2"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        body()
    assert terminal.is_as_found


def test_a_terminal_that_hangs_up_is_one_clear_error():
    """When the window is closed the caller is asked to quit, and told what could not be done."""
    terminal = Terminal()
    asked = threading.Event()
    counter = iter(range(10**9))
    live = view(terminal, lambda: Snapshot(events=next(counter)), on_quit=asked.set)
    live.start()
    os.close(terminal.master)
    assert asked.wait(PATIENCE)
    with pytest.raises(AuditorError, match=r"^cannot draw on the terminal: "):
        live.stop()
    terminal.stream.close()
    os.close(terminal.slave)


def test_no_color_draws_without_colours(terminal, monkeypatch):
    """With NO_COLOR set no colour is written; what is bold or reversed may stay."""
    monkeypatch.setenv("NO_COLOR", "1")
    with view(terminal):
        terminal.until(lambda: terminal.shows("alert 1 of 2"))
    colours = {char.fg for line in terminal.screen.buffer.values() for char in line.values()}
    assert colours == {"default"}
    assert any(char.reverse for char in terminal.screen.buffer[4].values())


def test_colours_are_drawn(terminal):
    """Without NO_COLOR an alert is red."""
    with view(terminal):
        terminal.until(lambda: terminal.shows("alert 1 of 2"))
    assert "red" in {char.fg for line in terminal.screen.buffer.values() for char in line.values()}


def test_another_encoding_gets_ascii():
    """A terminal that is not UTF-8 is drawn on with ASCII, hostile text included."""
    terminal = Terminal(encoding="iso8859-1")
    snapshot = hostile_snapshot()
    with view(terminal, snapshot):
        terminal.until(lambda: terminal.shows("alert 1 of 1"))
    assert terminal.raw.isascii()
    assert terminal.screen.display[0].rstrip() == frame(snapshot, Selection(), 80, 24, ASCII).strips[0].text.rstrip()
    terminal.close()


def hostile_snapshot():
    """Tally an alert in which all that an agent can choose is hostile."""
    agent = make_agent(HOSTILE[0])
    process = make_process(7, HOSTILE, make_call(HOSTILE[1], 6, HOSTILE[::-1], agent), executable="/tmp/" + HOSTILE[2])
    tally = Tally()
    tally.alert(make_alert(TUNNEL, process, run(process), connect(process)))
    return tally.snapshot()


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_hostile_arguments_leave_the_screen_unharmed(size):
    """Escape codes, newlines, reordering and markup in what an agent chose are shown, never obeyed."""
    terminal = Terminal(*size)
    snapshot = hostile_snapshot()
    expected = frame(snapshot, Selection(), *size, UNICODE).text.split("\n")
    with view(terminal, snapshot):
        terminal.until(lambda: terminal.shows("alert 1 of 1"))
        assert [line.rstrip() for line in terminal.screen.display] == expected
        assert terminal.screen.cursor.hidden
        assert OTHER_SCREEN in terminal.screen.mode
        assert terminal.screen.title == ""
    assert terminal.is_as_found
    terminal.close()


PROGRAM = """
import signal, sys, threading
from auditor.sinks.snapshot import Snapshot
from auditor.view.app import LiveView

ending = threading.Event()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: ending.set())
view = LiveView(sys.stdout, lambda: Snapshot(tracked=12), ending.set, keys=0, per_second=50)
view.start()
if "crash" in sys.argv:
    raise SystemExit("gone without a stop")
ending.wait()
view.stop()
"""


def spawn(terminal, *args):
    """Run a program with a view as the session leader on a terminal, as a shell's job would have it."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *args],
        stdin=terminal.slave,
        stdout=terminal.slave,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (no threads run yet)
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_terminal_in_order(terminal, number):
    """A program that stops the view when a signal comes leaves the terminal as it found it."""
    with spawn(terminal) as program:
        terminal.until(lambda: terminal.shows("watching 12 tasks"))
        program.send_signal(number)
        assert program.wait(PATIENCE) == 0
    assert terminal.is_as_found


def test_ctrl_c_is_a_signal(terminal):
    """Pressed on the terminal that controls the program, it ends it even if the view should hang."""
    with spawn(terminal) as program:
        terminal.until(lambda: terminal.shows("watching 12 tasks"))
        terminal.press(b"\x03")
        assert program.wait(PATIENCE) == 0
    assert terminal.is_as_found


def test_a_program_that_forgets_to_stop_leaves_the_terminal_in_order(terminal):
    """The interpreter's exit gives the terminal back."""
    with spawn(terminal, "crash") as program:
        assert program.wait(PATIENCE) == 1
    terminal.read(0.1)
    assert b"\x1b[?1049h" in terminal.raw
    assert terminal.is_as_found


def test_what_can_be_drawn_on(terminal, monkeypatch):
    """A terminal can, a file cannot, nor can a terminal that knows no cursor."""
    assert can_draw(terminal.stream)
    assert not can_draw(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not can_draw(terminal.stream)

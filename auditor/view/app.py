"""The live view: draws snapshots on a terminal, four times a second, from a thread of its own.

    with LiveView(sys.stdout, tally.snapshot, on_quit=ask_to_stop, keys=0):
        ...

It draws on the terminal's other screen, and leaves the terminal as it found it: after `stop`, after a failure of its
own, and at the interpreter's exit. Against SIGTERM's default action and SIGKILL nothing can be done from inside.
"""

from __future__ import annotations

import atexit
import os
import select
import termios
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

from rich.console import Console, RenderableType
from rich.control import Control

from auditor.errors import AuditorError
from auditor.sinks.snapshot import Snapshot
from auditor.view.glyphs import glyphs_for
from auditor.view.keys import Keys
from auditor.view.screen import Selection, frame
from auditor.view.strips import Strip, change

PER_SECOND: Final = 4.0
_SOONEST: Final = 0.03
"""Seconds between two frames at least, however fast keys come."""
_WIDE: Final = "\u754c"
"""A character that takes two cells: its width has to be looked up."""
_JOIN: Final = 2.0
"""Seconds that a frame in the middle of being drawn is waited for."""


class LiveView:
    """Draws what `get_snapshot` returns on a terminal, until it is stopped."""

    def __init__(
        self,
        stream: TextIO,
        get_snapshot: Callable[[], Snapshot],
        on_quit: Callable[[], None],
        *,
        keys: int | None = None,
        per_second: float = PER_SECOND,
    ) -> None:
        """Get ready to draw on `stream`, a terminal.

        `get_snapshot` and `on_quit` are called from the drawing thread. `on_quit` is called when the user asks to
        quit, and when nothing can be drawn any more; what follows is the caller's business. `keys` is a descriptor
        of the same terminal to read keys from; None where its input belongs to somebody else.
        """
        self._stream = stream
        self._get_snapshot = get_snapshot
        self._on_quit = on_quit
        self._keys = Keys(keys) if keys is not None and os.isatty(keys) else None
        self._listens = False
        self._period = 1 / per_second
        self._console = Console(file=stream, force_terminal=True, markup=False, highlight=False, emoji=False)
        self._glyphs = glyphs_for(stream.encoding)
        self._selection = Selection()
        self._size = (0, 0)
        self._shown: tuple[Strip, ...] = ()
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)
        self._wake, self._waker = -1, -1
        self._entered = False
        self._leaving = threading.Lock()
        self._failure: Exception | None = None

    def warm_up(self) -> None:
        """Import everything that drawing imports only when it first needs it (rich's tables of character widths).

        For a process that is about to give up the right to read its own modules.
        """
        picture = frame(Snapshot(host=_WIDE), self._selection, 80, 24, self._glyphs)
        with self._console.capture():
            self._console.print(change(picture, ()), end="", soft_wrap=True)

    def start(self) -> None:
        """Take the terminal and begin to draw. AuditorError where the terminal cannot be written."""
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        atexit.register(self._leave)
        self._entered = True
        try:
            self._stream.flush()
            if self._keys is not None:
                self._listens = self._keys.take()  # a job in the background that reads would be stopped for it
            self._write(Control.alt_screen(enable=True), Control.show_cursor(show=False))
        except (OSError, termios.error) as error:
            self._close()
            raise _unwritable(error) from error
        self._thread.start()

    def stop(self) -> None:
        """Stop drawing and give the terminal back. May be called more than once, and after a failure.

        Raises what ended the drawing, if anything did: an AuditorError where the terminal could not be written.
        """
        if self._waker >= 0:
            os.write(self._waker, b"s")
            self._thread.join(_JOIN)
            self._close()
        failure, self._failure = self._failure, None
        if isinstance(failure, OSError | termios.error):
            raise _unwritable(failure) from failure
        if failure is not None:
            raise failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except Exception:
            if error is None:  # the caller's own failure came first, and matters more
                raise

    def _run(self) -> None:
        try:
            self._draw_until_stopped()
        except Exception as error:  # noqa: BLE001 (handed to whoever stops the view)
            self._failure = error
            self._leave()
            self._on_quit()

    def _draw_until_stopped(self) -> None:
        while True:
            self._draw(self._get_snapshot())
            if self._pause(self._period, listen=True):
                return

    def _pause(self, seconds: float, *, listen: bool) -> bool:
        """Wait for the time to pass, a key or the end; say whether it is the end."""
        keys = self._keys if listen and self._listens else None
        ready, _, _ = select.select([self._wake, *([keys.fd] if keys else [])], [], [], seconds)
        if self._wake in ready:
            return True
        if keys is None or not ready:
            return False
        self._obey(keys.read())
        return self._pause(_SOONEST, listen=False)

    def _obey(self, keys: list[str] | None) -> None:
        if keys is None:
            self._listens = False
            return
        for key in keys:
            if key == "quit":
                self._on_quit()
            elif key == "redraw":
                self._shown = ()
            else:
                step = 1 if key == "down" else -1
                self._selection = self._selection.moved(self._get_snapshot().rows, step)

    def _draw(self, snapshot: Snapshot) -> None:
        size = _size(self._stream)
        if size != self._size:
            self._size, self._shown = size, ()
            self._console.size = size
        picture = frame(snapshot, self._selection, *size, self._glyphs)
        changed = change(picture, self._shown)
        self._shown = picture.strips
        if changed.lines:
            try:
                self._write(changed)
            except BlockingIOError:  # somebody made the terminal non-blocking, and it is full: draw all of it later
                self._shown = ()

    def _write(self, *things: RenderableType) -> None:
        """Write past the stream's buffer, whose lock a thread that hangs in a write would hold."""
        with self._console.capture() as captured:
            for thing in things:
                self._console.print(thing, end="", soft_wrap=True)
        data = captured.get().encode(self._stream.encoding, "replace")
        while data:
            data = data[os.write(self._stream.fileno(), data) :]

    def _leave(self) -> None:
        """Give the terminal back, once; whatever fails, try the rest."""
        with self._leaving:
            if not self._entered:
                return
            self._entered = False
            try:
                if self._keys is not None:
                    self._keys.give_back()
            except (OSError, termios.error) as error:
                self._failure = self._failure or error
            try:
                _, writable, _ = select.select([], [self._stream], [], _JOIN)
                if writable:
                    self._write(Control.show_cursor(show=True), Control.alt_screen(enable=False))
            except (OSError, ValueError) as error:
                self._failure = self._failure or error

    def _close(self) -> None:
        self._leave()
        atexit.unregister(self._leave)
        if not self._thread.is_alive():
            os.close(self._wake)
            os.close(self._waker)
        self._wake, self._waker = -1, -1


def can_draw(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that a view can be drawn on."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal; 80 by 24 where it does not say."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except OSError:
        columns, lines = 0, 0
    return columns or 80, lines or 24


def _unwritable(error: Exception) -> AuditorError:
    return AuditorError(f"cannot draw on the terminal: {getattr(error, 'strerror', None) or error}")

"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from auditor.decode.text import text
from auditor.errors import AuditorError, UsageError

_Command = TypeVar("_Command", bound=Callable[..., Any])

FORMATS = ("tui", "json", "text")


def watching(command: _Command) -> _Command:
    """Add the options of everything that watches live."""
    for option in reversed(_WATCHING):
        command = option(command)
    return command


_WATCHING = (
    click.option("--format", "format_", type=click.Choice(FORMATS),
                 help="Live view, JSON lines or a line of text an alert."),
    click.option("--events", type=click.Choice(("alerts", "all")), default="alerts", show_default=True,
                 help="Write alerts only, or every event."),
    click.option("--output", metavar="FILE", help="Write there instead of standard output; - is standard output."),
    click.option("--capture", metavar="FILE", help="Keep everything that was seen, to replay it later."),
    click.option("--rules", metavar="PATH", multiple=True, type=click.Path(path_type=Path),
                 help="Rule file or directory, instead of the rules that come with auditor. Repeatable."),
    click.option("--duration", metavar="SECONDS", type=float, help="Stop after so long."),
)  # fmt: skip


def as_text(argument: str) -> str:
    r"""Return an argument as records have text: what is not UTF-8 in it stands as `\xNN`."""
    return text(os.fsencode(argument))


def end_on_interrupt() -> None:
    """Let Ctrl-C end the program at once, until a run has its own way to stop.

    Nothing is there yet that needs care, and KeyboardInterrupt would rise in the middle of loading modules, where it
    was seen to be swallowed, to be shown as a traceback, and to bring the interpreter down.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def duration_ns(seconds: float | None) -> int | None:
    """Turn `--duration` into nanoseconds. Raises UsageError for what is no length of time."""
    if seconds is None:
        return None
    if not 0 < seconds < 1e9:  # also refuses "nan"
        raise UsageError(f"--duration {seconds:g}: give a number of seconds above 0")
    return int(seconds * 1e9)


def check_rules(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Raise UsageError, before anything starts, for a rule path that is not there."""
    for path in paths:
        if not path.exists():
            raise UsageError(f"--rules {path}: no such file or directory")
    return paths


def open_output(path: str | None, default: int) -> int:
    """Open what `--output` names; `-` is standard output, nothing is `default`.

    Raises:
        AuditorError: it cannot be opened.

    """
    if path is None:
        return default
    return 1 if path == "-" else open_for_writing(path, "--output")


def open_for_writing(path: str, option: str) -> int:
    """Open a file that this run alone writes, readable for its owner only: it holds what processes were told.

    What an earlier run wrote stays until this one begins: a refused command line must not cost it.

    Raises:
        AuditorError: it cannot be opened.

    """
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AuditorError(f"{option} {path}: {error.strerror}") from error


def empty(fd: int | None) -> None:
    """Empty a file that is to be written anew; what the shell opened is as the shell left it."""
    if fd is not None and fd > 2 and stat.S_ISREG(os.fstat(fd).st_mode):
        os.ftruncate(fd, 0)


def choose_format(asked: str | None, output: int) -> Literal["tui", "json", "text"]:
    """Choose the format: what was asked for, else the live view on a terminal and JSON lines anywhere else.

    Raises:
        UsageError: the live view was asked for where there is no terminal.

    """
    if asked == "tui" and not os.isatty(output):
        raise UsageError("--format tui needs a terminal on standard output; use --format json or text")
    if asked == "tui" or (asked is None and os.isatty(output)):
        return "tui"
    return "text" if asked == "text" else "json"

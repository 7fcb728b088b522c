"""Options that several commands share."""

from __future__ import annotations

import os
import pty
import signal
from pathlib import Path
from typing import Any

import pytest

from auditor.cli import options
from auditor.errors import AuditorError, UsageError


@pytest.mark.parametrize(("seconds", "expected"), [(None, None), (0.5, 500_000_000), (3, 3_000_000_000), (1e-9, 1)])
def test_duration(seconds: float | None, expected: int | None) -> None:
    """Seconds become nanoseconds; none is no limit."""
    assert options.duration_ns(seconds) == expected


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e9])
def test_what_is_no_duration(seconds: float) -> None:
    """What is no length of time is refused."""
    with pytest.raises(UsageError, match=r"--duration .*: give a number of seconds above 0"):
        options.duration_ns(seconds)


def test_rule_paths_must_be_there(tmp_path: Path) -> None:
    """Files and directories that are there pass, in their order; one that is not is refused."""
    (tmp_path / "rule.yml").touch()
    paths = (tmp_path / "rule.yml", tmp_path)
    assert options.check_rules(paths) == paths
    with pytest.raises(UsageError, match=r"--rules .*/none: no such file or directory"):
        options.check_rules((*paths, tmp_path / "none"))


def test_output_of_its_own(tmp_path: Path) -> None:
    """A new file is its owner's alone and not handed on to programs; one that is there stays as it is for now."""
    path = tmp_path / "out"
    for size in (0, 7):
        fd = options.open_output(str(path), 2)
        assert os.fstat(fd).st_size == size
        assert os.fstat(fd).st_mode & 0o777 == 0o600
        assert not os.get_inheritable(fd)
        os.write(fd, b"earlier")
        os.close(fd)


def test_file_is_emptied_when_a_run_begins(tmp_path: Path) -> None:
    """A file of the run's own is emptied; a device, what the shell opened, and nothing at all stay as they are."""
    path = tmp_path / "out"
    path.write_text("earlier")
    fd = options.open_for_writing(str(path), "--output")
    for untouched in (None, 0, 1, 2, os.open(os.devnull, os.O_WRONLY)):
        options.empty(untouched)
    assert path.read_text() == "earlier"
    options.empty(fd)
    assert path.read_text() == ""


def test_output_that_is_open_already() -> None:
    """Nothing given is the command's default; a dash is standard output."""
    assert options.open_output(None, 2) == 2
    assert options.open_output("-", 2) == 1


def test_device_is_written_to_as_it_is() -> None:
    """What is no regular file is not emptied."""
    fd = options.open_output(os.devnull, 1)
    os.write(fd, b"x")
    os.close(fd)


@pytest.mark.parametrize(("name", "reason"), [("none/out", "No such file or directory"), ("", "Is a directory")])
def test_file_that_cannot_be_opened(tmp_path: Path, name: str, reason: str) -> None:
    """What cannot be opened is an error that names option and file."""
    with pytest.raises(AuditorError, match=f"--capture {tmp_path}/{name}: {reason}") as caught:
        options.open_for_writing(f"{tmp_path}/{name}", "--capture")
    assert caught.value.exit_code == 1


def test_format_off_a_terminal(tmp_path: Path) -> None:
    """Off a terminal JSON is the choice where none was made; the live view is refused."""
    with (tmp_path / "out").open("w") as file:
        assert options.choose_format(None, file.fileno()) == "json"
        assert options.choose_format("text", file.fileno()) == "text"
        assert options.choose_format("json", file.fileno()) == "json"
        with pytest.raises(UsageError, match="--format tui needs a terminal"):
            options.choose_format("tui", file.fileno())


def test_format_on_a_terminal() -> None:
    """On a terminal the live view is the choice where none was made."""
    far, near = pty.openpty()
    assert options.choose_format(None, near) == "tui"
    assert options.choose_format("tui", near) == "tui"
    assert options.choose_format("json", near) == "json"
    assert options.choose_format("text", near) == "text"
    os.close(far)
    os.close(near)


@pytest.mark.parametrize(
    ("raw", "text"), [(b"plain", "plain"), ("caf\u00e9".encode(), "caf\u00e9"), (b"a\xffb", r"a\xffb")]
)
def test_arguments_as_text(raw: bytes, text: str) -> None:
    """An argument of any bytes becomes text as records have it, which can always be written out."""
    assert options.as_text(os.fsdecode(raw)) == text
    assert options.as_text(os.fsdecode(raw)).encode() is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [(signal.default_int_handler, signal.SIG_DFL), (signal.SIG_IGN, signal.SIG_IGN), (signal.SIG_DFL, signal.SIG_DFL)],
)
def test_interrupt_ends_at_once(before: Any, after: Any) -> None:
    """Ctrl-C ends the program without an exception; where it is ignored it stays so."""
    kept = signal.signal(signal.SIGINT, before)
    try:
        options.end_on_interrupt()
        assert signal.getsignal(signal.SIGINT) is after
    finally:
        signal.signal(signal.SIGINT, kept)

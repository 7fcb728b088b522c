"""`auditor exec`: from words to what a live run is asked to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from auditor.cli.exec import exec_
from auditor.errors import UsageError
from auditor.live import run as live
from auditor.live.options import Command, Options

Call = Callable[..., Options]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Give a way to run the command that tells what would be run."""

    def command(*words: str) -> Options:
        asked: list[Options] = []
        monkeypatch.setattr(live, "run", lambda options: asked.append(options) or 9)
        assert exec_.main(words, standalone_mode=False) == 9
        return asked[0]

    before = signal.getsignal(signal.SIGINT)
    yield command
    signal.signal(signal.SIGINT, before)


def test_alerts_are_text_on_standard_error(call: Call) -> None:
    """Without an output of its own, the auditor keeps off the command's standard output."""
    options = call("--", "true")
    assert options.command == Command(("true",), "", "")
    assert (options.output, options.format, options.selectors) == (2, "text", ())


def test_alerts_are_json_elsewhere(call: Call, tmp_path: Path) -> None:
    """Where an output is named, alerts are JSON unless text was asked for; a dash is standard output."""
    assert [getattr(call("--output", "-", "true"), name) for name in ("output", "format")] == [1, "json"]
    assert call("--output", "-", "--format", "text", "true").format == "text"
    options = call("--output", str(tmp_path / "out"), "true")
    assert options.format == "json"
    os.close(options.output)


@pytest.mark.parametrize("words", [("--", "ls", "--format", "x"), ("ls", "--format", "x")])
def test_commands_options_are_its_own(call: Call, words: tuple[str, ...]) -> None:
    """What follows the command's name is the command's, with a double dash before it or without."""
    assert call("--session", "s", "--tool-call", "t", *words).command == Command(("ls", "--format", "x"), "s", "t")


def test_double_dash_of_the_command(call: Call) -> None:
    """A second double dash belongs to the command."""
    assert call("--", "grep", "--", "-x").command == Command(("grep", "--", "-x"), "", "")


def test_names_of_any_bytes(call: Call) -> None:
    """Names that are not UTF-8 are text that records can hold; the command gets its own bytes back."""
    odd = os.fsdecode(b"\xff")
    options = call("--session", odd, "--tool-call", odd, "--", "echo", odd)
    assert options.command == Command(("echo", odd), r"\xff", r"\xff")


def test_view_is_refused(call: Call) -> None:
    """The terminal is the command's."""
    with pytest.raises(UsageError, match="the terminal is the command's"):
        call("--format", "tui", "true")


def test_command_is_needed(call: Call) -> None:
    """Without a command there is nothing to run."""
    with pytest.raises(click.MissingParameter):
        call("--session", "s")

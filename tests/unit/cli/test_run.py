"""`auditor run`: from words to what a live run is asked to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.run import run
from auditor.errors import AuditorError, UsageError
from auditor.live import run as live
from auditor.live.options import Options

Call = Callable[..., Options]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Give a way to run the command that tells what would be run."""

    def command(*words: str) -> Options:
        asked: list[Options] = []
        monkeypatch.setattr(live, "run", lambda options: asked.append(options) or 0)
        assert run.main(words, standalone_mode=False) == 0
        return asked[0]

    before = signal.getsignal(signal.SIGINT)
    yield command
    signal.signal(signal.SIGINT, before)


def test_defaults(call: Call) -> None:
    """With nothing but an agent: alerts on standard output, the rules that come with it, until it is stopped."""
    options = call("--agent", "pid:1")
    assert [selector.text for selector in options.selectors] == ["pid:1"]
    assert (options.output, options.capture, options.rules, options.duration_ns) == (1, None, (), None)
    assert (options.events, options.command, options.alerts) == ("alerts", None, None)
    assert options.format == ("tui" if os.isatty(1) else "json")


def test_everything(call: Call, tmp_path: Path) -> None:
    """Every option arrives, repeatable ones in their order."""
    words = ["--agent", "exe:*/claude", "--agent", "env:A=b", "--rules", str(tmp_path), "--rules", "/etc/passwd"]
    words += ["--format", "text", "--events", "all", "--duration", "1.5"]
    files = ["--output", f"{tmp_path}/out", "--capture", f"{tmp_path}/capture"]
    options = call(*words, *files)
    assert [selector.text for selector in options.selectors] == ["exe:*/claude", "env:A=b"]
    assert options.rules == (tmp_path, Path("/etc/passwd"))
    assert (options.format, options.events, options.duration_ns) == ("text", "all", 1_500_000_000)
    for fd, name in ((options.output, "out"), (options.capture, "capture")):
        assert fd is not None
        assert Path(f"/proc/self/fd/{fd}").readlink() == tmp_path / name
        os.close(fd)


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        ((), UsageError, "name at least one agent"),
        (("--agent", "pid"), UsageError, "unknown selector 'pid'"),
        (("--agent", "pid:1", "--duration", "-1"), UsageError, "--duration -1"),
        (("--agent", "pid:1", "--output", "/nowhere/x"), AuditorError, "--output /nowhere/x: No such file"),
        (("--agent", "pid:1", "--capture", "/nowhere/x"), AuditorError, "--capture /nowhere/x: No such file"),
    ],
)
def test_wrong_words(call: Call, words: tuple[str, ...], kind: type[AuditorError], says: str) -> None:
    """What cannot be is refused before anything is started."""
    with pytest.raises(kind, match=says):
        call(*words)


def test_selector_of_any_bytes(call: Call) -> None:
    """A selector that is not UTF-8 is text that records can hold."""
    options = call("--agent", os.fsdecode(b"exe:*/\xff"))
    assert options.selectors[0].text == r"exe:*/\xff"


def test_files_are_not_touched_by_wrong_words(call: Call, tmp_path: Path) -> None:
    """An earlier capture is not emptied by a command line that is refused."""
    (tmp_path / "capture").write_text("earlier")
    arguments: list[Any] = ["--agent", "pid:1", "--format", "tui", "--capture", f"{tmp_path}/capture"]
    with pytest.raises(UsageError):
        call(*arguments, "--output", f"{tmp_path}/out")
    assert (tmp_path / "capture").read_text() == "earlier"

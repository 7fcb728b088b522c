"""The command line's outermost function: exit codes, and errors in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import click
import pytest

from auditor import __version__, cli
from auditor.errors import AuditorError, RuleError, UsageError


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the program with these words; gives its exit code."""
    monkeypatch.setattr(sys, "argv", ["auditor", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """Run the program with a command that fails this way; gives its exit code."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "cli", fail)
    return call(monkeypatch)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (AuditorError("no room"), 1, "auditor: no room\n"),
        (UsageError("no such thing"), 2, "auditor: no such thing\n"),
        (RuleError(["a.yml:1: x", "b.yml:2: y"]), 1, "auditor: a.yml:1: x\nauditor: b.yml:2: y\n"),
        (AuditorError(""), 1, "auditor: \n"),
        (AuditorError("red \x1b[31m \u202e \udcff"), 1, "auditor: red \\x1b[31m \\u202e \\udcff\n"),
        (click.Abort(), 130, ""),
        (click.exceptions.Exit(7), 7, ""),
        (click.ClickException("odd\n\nlines"), 1, "auditor: odd lines\n"),
    ],
)
def test_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, says: str
) -> None:
    """Every error that a user can meet is a line on standard error, safe to show, and the exit code that it has."""
    assert fail_with(monkeypatch, error) == code
    assert capsys.readouterr() == ("", says)


def test_faults_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody expected is not dressed up as a user's error."""
    with pytest.raises(ZeroDivisionError):
        fail_with(monkeypatch, ZeroDivisionError())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runn"], "auditor: No such command 'runn'"),
        (["run", "--colour"], "auditor: No such option"),
        (["exec"], "auditor: Missing argument 'COMMAND...'"),
    ],
)
def test_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """Words that mean nothing are one line that says where help is, and code 2."""
    assert call(monkeypatch, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(says)
    assert err.count("\n") == 1
    assert f"(see `auditor{' ' + words[0] if words[0] != 'runn' else ''} --help`)" in err


def test_without_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With no word at all, the help goes to standard error, and the code is 2."""
    assert call(monkeypatch) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [name for name in cli.COMMANDS if f"\n  {name} " not in err] == []


def test_help_and_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for, help and version are output, for every command, under the program's own name."""
    assert call(monkeypatch, "--version") == 0
    assert __version__ in capsys.readouterr().out
    for name in cli.COMMANDS:
        assert call(monkeypatch, name, "--help") == 0
        assert capsys.readouterr().out.startswith(f"Usage: auditor {name} ")


def test_help_loads_little() -> None:
    """Showing help loads neither bcc, rich, pySigma nor what runs live: it is there at once."""
    script = (
        "import sys; from auditor.cli import cli; cli(['--help'], standalone_mode=False);"
        "print([m for m in ('bcc', 'rich', 'sigma', 'elftools', 'auditor.live.run') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_reader_that_left_is_no_traceback() -> None:
    """When whoever reads the help has gone, the program ends without a word."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "auditor", "run", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_interrupt_while_modules_load() -> None:
    """Ctrl-C in the first moment is no traceback: the process ends of the signal, as any does."""
    script = (
        "import builtins, os, signal; real = builtins.__import__\n"
        "def load(name, *rest):\n"
        "    if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = load\n"
        "import auditor.__main__\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_interrupt_is_an_exception_again() -> None:
    """Once modules are loaded, commands that have something to clear away hear of Ctrl-C as Python programs do."""
    script = "import signal, auditor.__main__; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"True\n"

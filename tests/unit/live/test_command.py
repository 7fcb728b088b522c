"""A command's process: forked, held, let go, waited for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from auditor.errors import AuditorError
from auditor.live.command import CommandProcess
from auditor.live.options import Command


def held(*argv: str) -> CommandProcess:
    """Start a command's process, which waits to be let go."""
    process = CommandProcess(Command(argv, "", ""))
    assert process.start() == process.pid
    return process


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 255", 255), ("kill -INT $$", 130)])
def test_exit_code(script: str, code: int) -> None:
    """The code is that of the command; a signal's number is counted from 128."""
    process = held("bash", "-c", script)
    assert not process.ended
    process.go()
    assert process.wait() == code
    assert process.ended
    assert process.exit_code() == code
    assert process.wait() == code


def test_nothing_runs_before_it_is_let_go(tmp_path: Path) -> None:
    """Until `go` the process runs nothing of the command's; if that never comes, nothing ever."""
    process = held("touch", str(tmp_path / "touched"))
    assert process.exit_code() is None
    process.leave()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    assert list(tmp_path.iterdir()) == []


def test_running_command_is_waited_for(tmp_path: Path) -> None:
    """To leave a command that runs is to wait for its end, which is remembered."""
    process = held("bash", "-c", f"exec 3> {tmp_path}/touched; exit 3")
    process.go()
    process.leave()
    assert process.exit_code() == 3
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize(("name", "code"), [("no-such-command", 127), ("/etc/passwd", 126), ("/", 126)])
def test_command_that_cannot_run(name: str, code: int) -> None:
    """What cannot be run is an error with the exit code of shells; there is nothing left to wait for."""
    process = held(name)
    with pytest.raises(AuditorError, match=f"cannot run '{name}': ") as caught:
        process.go()
    assert caught.value.exit_code == code
    process.leave()


def test_orphaned_before_it_was_let_go() -> None:
    """A process whose starter died without a word runs nothing and ends."""
    read, write = os.pipe()
    starter = os.fork()
    if starter == 0:
        os.dup2(write, 1)
        held("echo", "never")
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(write)
    os.waitpid(starter, 0)
    with os.fdopen(read, "rb") as output:
        assert output.read() == b""  # ends when the last writer has


def test_signals_are_as_the_user_had_them() -> None:
    """What Python ignores the command does not; what the user had ignored it does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    read, write = os.pipe()
    try:
        process = CommandProcess(Command(("bash", "-c", f"grep SigIgn /proc/self/status >&{write}"), "", ""))
        os.set_inheritable(write, True)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        process.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    os.close(write)
    process.go()
    assert process.wait() == 0
    with os.fdopen(read) as output:
        assert int(output.read().split()[1], 16) == 1 << signal.SIGHUP - 1

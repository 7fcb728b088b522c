"""`auditor exec`: one command as a tool call, on the real kernel."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.auditors import PATIENCE_S, PROGRAM, Offence, action, audit, await_end, lines

LONGEST_ARGUMENT = 128 * 1024 - 1
"""Bytes, without the NUL: MAX_ARG_STRLEN of Linux' include/uapi/linux/binfmts.h."""


@pytest.fixture
def offence(tmp_path: Path) -> Offence:
    """Give a program that raises an alert."""
    return Offence(tmp_path)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_exit_code_is_the_commands(script: str, code: int) -> None:
    """The auditor leaves with what the command left with, a signal counted from 128, and says nothing of its own."""
    done = audit("exec", "--", "bash", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [("no-such-command-anywhere", 127, "No such file or directory"), ("/etc/passwd", 126, "Permission denied")],
)
def test_command_that_cannot_run(command: str, code: int, reason: str) -> None:
    """A command that is not there, or no program, is one line and the exit code that shells have for it."""
    done = audit("exec", "--", command)
    assert done.returncode == code
    assert done.stderr.decode() == f"auditor: cannot run '{command}': {reason}\n"
    assert done.stdout == b""


def test_streams_are_the_commands(offence: Offence) -> None:
    """What goes through the command is not touched; alerts are lines of text on standard error, beside its own."""
    content = random.Random(1).randbytes(1 << 20)
    script = f"cat; {offence.program} one; echo from the command >&2"
    done = audit("exec", *offence.rules, "--", "bash", "-c", script, stdin=None, input=content)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(content).digest()
    told = done.stderr.decode().splitlines()
    assert len(told) == 2
    assert "from the command" in told
    told.remove("from the command")
    assert ' HIGH rule="The offence" ' in told[0]
    assert told[0].endswith(f"cmd={offence.program} one")


def test_command_gets_what_the_shell_had() -> None:
    """The command has no descriptor and no ignored signal that it would not have had without the auditor."""
    script = "readlink /proc/self/fd/*; grep -E 'Sig(Blk|Ign)' /proc/self/status"
    alone = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    watched = audit("exec", "--", "bash", "-c", script)
    pipes = [line for line in alone.stdout.splitlines() if line.startswith(b"pipe:")]
    assert len(pipes) == 2
    assert [line for line in watched.stdout.splitlines() if not line.startswith(b"pipe:")] == [
        line for line in alone.stdout.splitlines() if not line.startswith(b"pipe:")
    ]


def test_alerts_go_where_output_says(offence: Offence, tmp_path: Path) -> None:
    """--output FILE takes the alerts as JSON, under the given names, and leaves both of the command's streams alone."""
    output = tmp_path / "alerts.json"
    given = ("--session", "night \u2713", "--tool-call", "t-17", "--output", output)
    done = audit(
        "exec", *offence.rules, *given, "--", "bash", "-c", f"echo out; echo err >&2; {offence.program} two; exit"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\n", b"err\n")
    (alert,) = lines(output.read_bytes())
    assert alert["event"]["kind"] == "alert"
    assert alert["auditor"]["session"]["id"] == "night \u2713"
    assert alert["auditor"]["tool_call"]["id"] == "t-17"
    assert [node["args"][0] for node in alert["auditor"]["tree"]] == ["bash", offence.program]
    assert output.stat().st_mode & 0o777 == 0o600


def test_output_dash_is_standard_output(offence: Offence) -> None:
    """--output - writes JSON lines to standard output, because it was asked for."""
    done = audit("exec", *offence.rules, "--events", "all", "--output", "-", "--", offence.program, "three")
    documents = lines(done.stdout)
    actions = [action(document) for document in documents]
    assert actions[0] == "auditor-start"
    assert actions[-1] == "auditor-end"
    assert [word for word in actions if word in {"exec", "alert", "exit"}] == ["exec", "alert", "exit"]
    assert done.stderr == b""


def test_last_descendant_is_waited_for(offence: Offence, tmp_path: Path) -> None:
    """A grandchild in a session of its own, orphaned, is watched after the command's end, and charged to its call."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    orphan = tmp_path / "orphan"
    orphan.write_text(f"exec <&- >&- 2>&-; read line < {fifo}; {offence.program} $line; exit")
    script = f"setsid bash -c '(bash {orphan} &)' & echo $$; exit 4"
    command = [*PROGRAM, "exec", *offence.rules, "--tool-call", "t-1", "--", "bash", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as auditor:
        assert auditor.stdout is not None
        first = int(auditor.stdout.readline())
        # The orphan opens the other end only once the command, which does not wait for it, is done or about to be.
        with fifo.open("w") as orders:
            await_end(first)
            assert auditor.poll() is None
            orders.write("late\n")
        _, errors = auditor.communicate(timeout=PATIENCE_S)
    assert auditor.returncode == 4
    assert b"tool_call=t-1" in errors
    assert errors.endswith(b"/offence late\n")


def interruptible(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the program in a process group of its own."""
    command = [*PROGRAM, "exec", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def heeding(number: signal.Signals, offence: Offence, word: str) -> list[str]:
    """Give a command that says a line and waits; at the signal it offends once, with this word, and leaves with 9."""
    script = f"""
import os, signal, subprocess

def heed(*_):
    subprocess.run([{str(offence.program)!r}, {word!r}])
    os._exit(9)

signal.signal({int(number)}, heed)
print(flush=True)
while True:
    signal.pause()
"""
    return [sys.executable, "-I", "-c", script]


def test_interrupt_is_the_commands(offence: Offence) -> None:
    """Ctrl-C reaches the command, which may take its time to end; the auditor sees that too and leaves as it left."""
    with interruptible(*offence.rules, "--", *heeding(signal.SIGINT, offence, "interrupted")) as auditor:
        assert auditor.stdout is not None
        auditor.stdout.readline()
        os.killpg(auditor.pid, signal.SIGINT)
        _, errors = auditor.communicate(timeout=PATIENCE_S)
    assert auditor.returncode == 9
    assert errors.endswith(b"/offence interrupted\n")
    assert errors.count(b"\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(offence: Offence, number: signal.Signals) -> None:
    """A signal that is sent to the auditor alone is the command's to heed, and what it does then is still watched."""
    with interruptible(*offence.rules, "--", *heeding(number, offence, "told")) as auditor:
        assert auditor.stdout is not None
        auditor.stdout.readline()
        os.kill(auditor.pid, number)
        _, errors = auditor.communicate(timeout=PATIENCE_S)
    assert auditor.returncode == 9
    assert errors.endswith(b"/offence told\n")
    assert errors.count(b"\n") == 1


def test_interrupt_ends_the_watch_on_daemons(tmp_path: Path) -> None:
    """Once only a daemon of the command is left, which hears no Ctrl-C, Ctrl-C is for the auditor."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    daemon = f"setsid bash -c 'exec >&- 2>&-; exec 3< {fifo}; read line <&3' &"
    with interruptible("--", "bash", "-c", f"{daemon} echo $$; exit 6") as auditor:
        assert auditor.stdout is not None
        first = Path("/proc", auditor.stdout.readline().decode().strip())
        with fifo.open("w"):
            while first.exists():  # until the auditor has collected the command, Ctrl-C is the command's
                pass
            while auditor.returncode is None:
                os.killpg(auditor.pid, signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    auditor.wait(2)
            _, errors = auditor.communicate(timeout=PATIENCE_S)
    assert (auditor.returncode, errors) == (6, b"")


def test_command_outlives_the_duration(offence: Offence, tmp_path: Path) -> None:
    """After --duration the command goes on unwatched; its exit code is still the auditor's."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    output = tmp_path / "events.json"
    script = f"read line < {fifo}; {offence.program} unseen; exit 5"
    given = (*offence.rules, "--duration", "0.05", "--events", "all", "--output", str(output))
    with interruptible(*given, "--", "bash", "-c", script) as auditor:
        with fifo.open("w") as orders:
            while b"auditor-end" not in output.read_bytes():
                pass
            orders.write("go\n")
        assert auditor.wait(PATIENCE_S) == 5
    assert "alert" not in [action(document) for document in lines(output.read_bytes())]


HOSTILE = [
    b"\x1b[31mred\x1b[0m",
    b"one\ntwo\r\nthree\ttab",
    b"\xff\xfe broken \xc3",
    b"[bold red]markup[/] [link=x]",
    b"\x9b31m \xc2\x9b31m bidi \xe2\x80\xae",
    b"quote\" back\\slash 'single' $(id)",
    b"",
    b"\x7f\x08\x07",
]


def test_hostile_arguments_as_json(offence: Offence) -> None:
    """Whatever bytes an argument has, each line is one valid JSON document of UTF-8, and the argument is all there."""
    done = audit("exec", *offence.rules, "--events", "all", "--output", "-", "--", offence.program, *HOSTILE)
    documents = [json.loads(line.decode()) for line in done.stdout.splitlines()]
    expected = [argument.decode("utf-8", "backslashreplace") for argument in HOSTILE]
    told = {action(it): it["process"]["args"][1:] for it in documents if action(it) in {"exec", "alert"}}
    assert told == {"exec": expected, "alert": expected}


def test_hostile_arguments_as_text(offence: Offence) -> None:
    """In lines of text no character of an argument moves a cursor, colours, breaks the line or turns its direction."""
    done = audit("exec", *offence.rules, "--events", "all", "--format", "text", "--", offence.program, *HOSTILE)
    text = done.stderr.decode()
    assert {c for c in text if not c.isprintable()} == {"\n"}
    alerts = [line for line in text.splitlines() if " HIGH " in line]
    assert len(alerts) == 1
    assert r"\x1b[31mred" in alerts[0]
    assert "[bold red]markup[/]" in alerts[0]
    assert all(" HIGH " in line or " EVENT " in line for line in text.splitlines())


def test_longest_arguments(offence: Offence) -> None:
    """128 KiB in one argument and as much in small ones: kept to 4 KiB, marked as cut, and told how much there was."""
    many = [b"x" * 99] * 1310
    command = (offence.program, b"A" * LONGEST_ARGUMENT, *many)
    done = audit("exec", *offence.rules, "--events", "all", "--output", "-", "--", *command)
    assert done.returncode == 0
    documents = lines(done.stdout)
    (started,) = [it for it in documents if action(it) == "exec"]
    (alert,) = [it for it in documents if action(it) == "alert"]
    total = sum(len(os.fsencode(argument)) + 1 for argument in command)
    assert started["auditor"]["process"]["argv_bytes"] == total
    assert "argv-truncated" in started["auditor"]["process"]["flags"]
    assert len("\0".join(started["process"]["args"])) <= 4096
    assert alert["auditor"]["quality"]["args_truncated"] is True


def test_names_that_are_not_utf8() -> None:
    """A session and a tool call may be named with any bytes; they stand escaped."""
    done = audit(
        "exec", "--session", b"s\xff", "--tool-call", b"\xfet", "--events", "all", "--output", "-", "--", "true"
    )
    assert done.returncode == 0
    labels = {action(it): it["auditor"] for it in lines(done.stdout) if action(it) == "exec"}
    assert labels["exec"]["session"]["id"] == r"s\xff"
    assert labels["exec"]["tool_call"]["id"] == r"\xfet"


def test_output_that_cannot_be_written() -> None:
    """A full disk ends the audit with one line that names the file."""
    done = audit("exec", "--output", "/dev/full", "--events", "all", "--", "true")
    assert done.returncode == 1
    assert done.stderr == b"auditor: cannot write /dev/full: No space left on device\n"

"""The program as its users run it: a process of its own, told what to do on its command line.

Beside it, what the tests watch with it: a program that is an offence by its name, and shells that do as they are told.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Document = dict[str, Any]

PROGRAM = (sys.executable, "-I", "-m", "auditor")
PATIENCE_S = 60
"""Nothing waits longer than this; a test that would hang fails instead."""

_RULE = """\
title: The offence
id: 0ffe0ce0-0000-4000-8000-000000000001
logsource:
  product: linux
  category: process_creation
detection:
  named:
    Image|endswith: /offence
  condition: named
level: high
"""


class Offence:
    """A harmless program, and the one rule that it offends against."""

    def __init__(self, folder: Path) -> None:
        """Put both into `folder`."""
        self.program = str(folder / "offence")
        shutil.copy("/bin/true", self.program)
        rule = folder / "offence.yml"
        rule.write_text(_RULE)
        self.rules = ("--rules", str(rule))


def audit(*arguments: str | bytes | os.PathLike[str], **how: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the program to its end; keeps what it writes."""
    how = {"stdin": subprocess.DEVNULL, "timeout": PATIENCE_S, **how}
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, check=False, **how)


def lines(stream: bytes) -> list[Document]:
    """Read JSON lines."""
    return [json.loads(line) for line in stream.splitlines()]


def action(document: Document) -> str:
    """Give an event's `event.action`; `alert` for an alert."""
    return "alert" if document["event"]["kind"] == "alert" else document["event"]["action"]


class Run:
    """`auditor run` at work, in a session of its own. Its events come as they are written."""

    def __init__(self, *arguments: str | bytes | os.PathLike[str]) -> None:
        command = [*PROGRAM, "run", "--events", "all", *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        self.documents: list[Document] = []
        self.errors = ""
        self._guard = threading.Timer(PATIENCE_S, self.process.kill)
        self._guard.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()
        self._guard.cancel()

    def until(self, wanted: Callable[[Document], object]) -> Document:
        """Read events until one is as wanted, and give it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.documents.append(json.loads(line))
            if wanted(self.documents[-1]):
                return self.documents[-1]
        raise AssertionError(f"ended before that; said {self.end(0)}, {self.errors!r}")

    def ready(self) -> Self:
        """Wait until agents are under watch: a tick is told once they are."""
        self.until(lambda document: action(document) == "tick")
        return self

    def alert(self, *arguments: str) -> Document:
        """Wait for the alert about the offence that was given these arguments."""
        return self.until(lambda it: action(it) == "alert" and it["process"]["args"][1:] == [*arguments])

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal, read what is left, and give the exit code."""
        self.process.send_signal(number)
        rest, errors = self.process.communicate()
        self.documents += lines(rest)
        self.errors = errors.decode()
        return self.process.returncode


class Shell:
    """A shell that does as it is told, line by line: an agent whose children are its tool calls."""

    def __init__(self, *argv: str, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            argv or ("bash",),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def tell(self, line: str) -> str:
        """Have it run a line, to its end; gives the first line of what that wrote."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\necho\n")
        self._process.stdin.flush()
        first = answer = self._process.stdout.readline()
        while answer not in {"\n", ""}:
            answer = self._process.stdout.readline()
        return first.rstrip("\n")


def await_end(pid: int) -> None:
    """Wait until a process, nobody's child here perhaps, has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([descriptor], [], [], PATIENCE_S)
    os.close(descriptor)
    assert ended, f"process {pid} goes on"


def children(pid: int) -> list[int]:
    """List the children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name(pid: int) -> str:
    """Give the name that `ps` shows."""
    return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")

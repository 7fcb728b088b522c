"""A stand-in agent: a shell whose children are the loads, in a network of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import NamedTuple, Self

from tests.bench.toolkit import BenchError, Toolkit


class Work(NamedTuple):
    """What a load did: operations, and what they took in nanoseconds."""

    ops: int
    cpu_ns: int
    wall_ns: int


class Agent:
    """The shell. Each load that it runs is its child, and so a tool call where it is watched."""

    def __init__(self, toolkit: Toolkit, *, cpu: int | None = None) -> None:
        self._loads = toolkit.loads
        self._shell = subprocess.Popen(
            toolkit.leash("/bin/sh", cpu=cpu, own_network=True),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=toolkit.folder,
            text=True,
            bufsize=1,
        )
        self.pid = self._shell.pid
        self._ask("echo")  # so that it is the shell by now, and no longer what becomes it

    def run(self, load: str) -> Work:
        """Run a load (`loads.c` tells which there are) and return what it did.

        Raises:
            BenchError: it failed.

        """
        answer = self._ask(f"{self._loads} {load} || echo failed")
        if not answer.startswith("{"):
            raise BenchError(f"the load '{load}' failed")
        return Work(**json.loads(answer))

    def _ask(self, line: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(line + "\n")
        return self._shell.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.killpg(self.pid, signal.SIGKILL)  # a load that runs as well
        self._shell.wait()
        for stream in (self._shell.stdin, self._shell.stdout):
            if stream is not None:
                stream.close()

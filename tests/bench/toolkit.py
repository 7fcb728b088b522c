"""What every part of the bench needs: the loads, compiled; a folder for files; which CPU is whose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""A root shell does not always have the directories of the tools that only root can use."""


class BenchError(Exception):
    """Why the bench cannot go on, in one line."""


class Toolkit:
    """The compiled loads, in a folder that belongs to this run."""

    def __init__(self, folder: Path) -> None:
        """Compile the loads.

        Raises:
            BenchError: there are less than two CPUs, or no compiler.

        """
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise BenchError("two CPUs are needed: one for the load, one for what watches it")
        self.folder = folder
        self.load_cpu, self.tracer_cpu = cpus[-1], cpus[-2]
        self.loads = folder / "loads"
        self._compile()
        self.build = folder / "app"
        shutil.copytree(HERE / "app", self.build)

    def leash(self, *command: str | Path, cpu: int | None = None, own_network: bool = False) -> list[str]:
        """Return a command line that runs `command` so that it dies with the bench, on one CPU or on any."""
        where = [] if cpu is None else ["-c", str(cpu)]
        return [str(self.loads), "leash", *where, *(["-n"] if own_network else []), "--", *map(str, command)]

    def _compile(self) -> None:
        if find("cc") is None:
            raise BenchError("no C compiler: install gcc and libc6-dev")
        command = ["cc", "-O2", "-o", str(self.loads), str(HERE / "loads.c")]
        # A static program starts fastest, and starting is what some loads do.
        for flags in (["-static"], []):
            done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
        raise BenchError(f"cannot compile {HERE / 'loads.c'}: {done.stderr.strip()}")


def find(program: str) -> str | None:
    """Return where a program is, if it is installed."""
    return shutil.which(program, path=PATH)


def python(*arguments: str) -> list[str]:
    """Return a command line for this Python, with nothing imported from the working directory."""
    return [sys.executable, "-I", *arguments]


def report(line: str) -> None:
    """Tell how far the bench is, on stderr."""
    sys.stderr.write(f"bench: {line}\n")
    sys.stderr.flush()

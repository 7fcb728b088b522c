"""Other tools that watch the same calls. Each is a context in which it runs, and after which nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from tests.bench.toolkit import HERE, PATH, BenchError, Toolkit, find

_PATIENCE_S = 30
_RULE = ("-F", "arch=b64", "-S", "execve", "-S", "connect", "-S", "ioctl", "-k", "auditor-bench")
_BACKLOG = 8192
"""Messages waiting for auditd: what Debian's rules set."""
_RESTORE = """
cat >/dev/null
auditctl -d always,exit $RULE
auditctl -d never,task
auditctl -e 0
auditctl -b $BACKLOG
"""


@contextmanager
def bpftrace(toolkit: Toolkit) -> Iterator[None]:
    """Have bpftrace print every exec and connect into a file, and count ioctls."""
    # It needs tracefs: mounted where nobody else sees it, on hosts that have it not.
    script = (
        "{ mount -t tracefs none /sys/kernel/tracing; mount -t debugfs none /sys/kernel/debug; } 2>/dev/null\n"
        'exec bpftrace "$0"'
    )
    command = toolkit.leash("unshare", "--mount", "sh", "-c", script, HERE / "peers.bt", cpu=toolkit.tracer_cpu)
    output = toolkit.folder / "bpftrace.out"
    with output.open("wb") as stream, _running(command, stream) as process:
        _await(lambda: b"ready" in output.read_bytes(), process, "bpftrace", output)
        yield
    output.unlink()


class Audit:
    """The kernel's audit, one for the whole host: used only where nothing else uses it, and put back as it was.

    Once audit has been enabled, every new task pays at each system call until the next boot (about 100 ns on Linux
    6.18, also after audit was disabled again), unless a rule exempts it when it is forked (kernel/auditsc.c:
    audit_alloc). That rule stands whenever auditd is not measured, so that "no tracing" is what it says.
    """

    def __init__(self) -> None:
        """Look at it."""
        self._guard: subprocess.Popen[bytes] | None = None
        self._before = _status()
        self.obstacle = ""
        """Why auditd cannot be measured here; empty if it can."""
        if find("auditctl") is None or find("auditd") is None:
            self.obstacle = "not installed"
        elif not self._before:
            self.obstacle = "not run: the kernel offers no audit here"
        elif self._before["enabled"] or self._before["pid"] or _auditctl("-l").strip() != "No rules":
            self.obstacle = "not run: this host's own audit is in use"

    @contextmanager
    def daemon(self, toolkit: Toolkit) -> Iterator[None]:
        """Have auditd log the three calls of all processes into a folder of the bench."""
        folder = toolkit.folder / "auditd"
        (folder / "plugins.d").mkdir(parents=True, exist_ok=True)
        (folder / "auditd.conf").write_text((HERE / "auditd.conf").read_text().replace("FOLDER", str(folder)))
        command = toolkit.leash("auditd", "-n", "-s", "enable", "-c", folder, cpu=toolkit.tracer_cpu)
        _auditctl("-d", "never,task")
        output = folder / "output"
        with output.open("wb") as stream, _running(command, stream) as process:
            _await(lambda: _status().get("pid") == process.pid, process, "auditd", output)
            _auditctl("-b", str(_BACKLOG))
            _auditctl("-a", "always,exit", *_RULE)
            try:
                yield
            finally:
                _auditctl("-d", "always,exit", *_RULE)
                _auditctl("-e", "0")
        for log in folder.glob("audit.log*"):
            log.unlink()
        _auditctl("-a", "never,task")

    def __enter__(self) -> Self:
        if not self.obstacle:
            # Puts everything back however the bench ends: its input ends then.
            environment = {"PATH": PATH, "RULE": " ".join(_RULE), "BACKLOG": str(self._before["backlog_limit"])}
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _RESTORE],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
            _auditctl("-a", "never,task")
        return self

    def __exit__(self, *error: object) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()


@contextmanager
def _running(command: list[str], output: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": PATH},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _await(ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, output: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            lines = output.read_text(errors="replace").splitlines()
            raise BenchError(f"{name} did not start: {lines[-1] if lines else 'it said nothing'}")
        time.sleep(0.02)


def _status() -> dict[str, int]:
    """What `auditctl -s` tells, as numbers; empty where it does not work."""
    pairs = (line.split() for line in _auditctl("-s").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _auditctl(*arguments: str) -> str:
    program = find("auditctl")
    if program is None:
        return ""
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False).stdout

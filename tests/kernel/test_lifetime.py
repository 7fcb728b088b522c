"""What is attached lives as long as the process that attached it, and no longer."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor.kernel.catalog import HOOKS
from auditor.kernel.store import Store
from tests.kernel.watching import PATIENCE_S

BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PROG_GET_FD_BY_ID, LINK_GET_FD_BY_ID = 13, 30

HOLDER = """
import os, sys
from pathlib import Path
from auditor import assets
from auditor.host.mounts import open_cgroup_root, open_tracefs
from auditor.kernel.loader import Loader
from auditor.kernel.probes import Probes
from auditor.kernel.store import Store

loaded = Loader(assets.probes(), store=Store(Path(sys.argv[1]))).finish()
probes = Probes(loaded, open_cgroup_root())
probes.watch_ioctl(open_tracefs())
for fd in sorted(map(int, os.listdir("/proc/self/fdinfo"))):
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines())
    except OSError:
        continue
    for name in ("prog_id", "link_id"):
        if name in fields:
            print(name, fields[name].strip())
print("ready", flush=True)
sys.stdin.read()
"""

_libc = ctypes.CDLL(None, use_errno=True)


def exists(command: int, number: int) -> bool:
    """Ask the kernel for a program or a link by its id."""
    attributes = struct.pack("<I", number).ljust(128, b"\0")
    fd = _libc.syscall(ctypes.c_long(BPF), ctypes.c_int(command), attributes, ctypes.c_uint(len(attributes)))
    if fd >= 0:
        os.close(fd)
        return True
    assert ctypes.get_errno() == errno.ENOENT
    return False


def await_end(remaining: Callable[[], list[int]]) -> None:
    """Wait until the kernel has let go of everything."""
    deadline = time.monotonic() + PATIENCE_S
    while left := remaining():
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.01)


def attached_to_root(cgroup_root: int) -> set[int]:
    """Give the ids of the programs attached to the root of the cgroup tree, as bpftool sees them."""
    shown = subprocess.run(
        ["bpftool", "--json", "cgroup", "show", f"/proc/{os.getpid()}/fd/{cgroup_root}"],
        capture_output=True,
        check=True,
    )
    return {program["id"] for program in json.loads(shown.stdout or b"[]")}


@pytest.fixture
def holder(root: Path, store: Store) -> Iterator[subprocess.Popen[str]]:
    """Give a process that has the probes attached, those for ioctls too."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store._folder)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def ids(holder: subprocess.Popen[str]) -> dict[str, set[int]]:
    """Read the ids of the holder's programs and links."""
    found: dict[str, set[int]] = {"prog_id": set(), "link_id": set()}
    for line in iter(holder.stdout.readline, "ready\n"):
        assert line, "the holder died"
        name, number = line.split()
        found[name].add(int(number))
    return found


def test_killed_process_leaves_nothing_attached(holder: subprocess.Popen[str], cgroup_root: int) -> None:
    """A process that is killed outright leaves no program, no link and nothing at the root of the cgroup tree."""
    held = ids(holder)
    standing = [hook for hook in HOOKS if hook.standing]
    assert (len(held["prog_id"]), len(held["link_id"])) == (len(HOOKS), len(standing))
    assert all(exists(PROG_GET_FD_BY_ID, number) for number in held["prog_id"])
    assert all(exists(LINK_GET_FD_BY_ID, number) for number in held["link_id"])
    seen_by_bpftool = shutil.which("bpftool") is not None
    if seen_by_bpftool:
        in_cgroup = attached_to_root(cgroup_root) & held["prog_id"]
        assert len(in_cgroup) == sum(hook.kind == "cgroup" for hook in standing)

    holder.send_signal(signal.SIGKILL)
    holder.wait()
    await_end(lambda: [number for number in held["link_id"] if exists(LINK_GET_FD_BY_ID, number)])
    await_end(lambda: [number for number in held["prog_id"] if exists(PROG_GET_FD_BY_ID, number)])
    if seen_by_bpftool:
        assert not attached_to_root(cgroup_root) & held["prog_id"]


def test_program_started_meanwhile_holds_nothing(root: Path, store: Store) -> None:
    """No descriptor of a program, link or map goes on to a program that the holder's process becomes the parent of."""
    code = HOLDER.replace(
        'print("ready", flush=True)',
        "import subprocess\n"
        "subprocess.run(['/bin/sh', '-c', 'ls -l /proc/self/fd'], close_fds=False, check=True)\n"
        "print('ready', flush=True)",
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, str(store._folder)],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "prog_id" in shown
    assert "ready" in shown
    assert "/proc/" in shown
    assert [line for line in shown.splitlines() if "bpf" in line or "perf_event" in line] == []

"""The loads compile, and do what they are told."""

from __future__ import annotations

import json
import os
import select
import subprocess
from pathlib import Path

import pytest

from tests.bench.toolkit import Toolkit, find


@pytest.fixture(scope="module")
def toolkit(tmp_path_factory: pytest.TempPathFactory) -> Toolkit:
    """Compile the loads."""
    if find("cc") is None:
        pytest.skip("needs a C compiler")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    return Toolkit(tmp_path_factory.mktemp("bench"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("operation", ["getppid", "ioctl", "udp", "tcp"])
def test_loop_makes_no_more_than_it_may(toolkit: Toolkit, operation: str) -> None:
    """A loop ends at its number of operations, and tells how many it made."""
    done = run(str(toolkit.loads), "loop", operation, "60", "128")
    assert done.stderr == ""
    assert json.loads(done.stdout)["ops"] == 128


@pytest.mark.parametrize(("operation", "path"), [("udp", "-"), ("ioctl", "/dev/null"), ("spawn", "")])
def test_pace_makes_exactly_what_was_asked(toolkit: Toolkit, operation: str, path: str) -> None:
    """A flood's number of events is known beforehand, however slow the machine is."""
    done = run(str(toolkit.loads), "pace", operation, "2000", "0.05", "0", path or str(toolkit.loads))
    assert done.stderr == ""
    assert json.loads(done.stdout)["ops"] == 100


def test_load_counts_its_children(toolkit: Toolkit) -> None:
    """What the children of a load took is the load's."""
    done = run(
        str(toolkit.loads), "repeat", "0", "--", "/bin/sh", "-c", "i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done"
    )
    work = json.loads(done.stdout)
    assert work["ops"] == 1
    assert work["cpu_ns"] > 0


def test_program_that_cannot_be_run_is_an_error(toolkit: Toolkit, tmp_path: Path) -> None:
    """A load that did nothing does not look like a quick one."""
    done = run(str(toolkit.loads), "repeat", "0", "--", str(tmp_path / "absent"))
    assert (done.returncode, done.stdout) == (1, "")


def test_leash_holds_a_program_to_one_cpu(toolkit: Toolkit) -> None:
    """A program on the leash, and what it starts, stays on the CPU that it was given."""
    command = toolkit.leash("sh", "-c", "grep Cpus_allowed_list /proc/self/status", cpu=toolkit.load_cpu)
    assert run(*command).stdout.split() == ["Cpus_allowed_list:", str(toolkit.load_cpu)]


def test_leash_ends_with_its_holder(toolkit: Toolkit) -> None:
    """A program on the leash ends when what started it is killed."""
    leashed = toolkit.leash("sh", "-c", "echo $$; exec sleep 600")
    holder = subprocess.Popen(["/bin/sh", "-c", '"$@"; :', "sh", *leashed], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    leashed_pid = os.pidfd_open(int(holder.stdout.readline()))
    holder.kill()
    holder.wait()
    holder.stdout.close()
    ended, _, _ = select.select([leashed_pid], [], [], 60)
    os.close(leashed_pid)
    assert ended == [leashed_pid]

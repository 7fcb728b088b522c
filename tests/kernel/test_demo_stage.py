"""The demo's whole scenario, played without the auditor: what happens happens, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.demo.stage import PARENT, PREFIX, Outcome, Stage, sweep

END_SECONDS = 30


def dwellers(pid_namespace: str) -> list[int]:
    """List the processes in a pid namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str((entry / "ns/pid").readlink()) == pid_namespace:
                found.append(int(entry.name))
    return found


def descendants(root: int) -> list[int]:
    """List what a process started, and what that started; some may have ended by now."""
    waiting, found = [root], []
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError):
            children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            waiting += children
            found += children
    return found


def namespaces_of(pids: list[int]) -> set[str]:
    """List the pid namespaces of processes, other than this one's."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/pid").readlink()))
    return found - {str(Path("/proc/self/ns/pid").readlink())}


def wait_for_end(pids: list[int]) -> None:
    """Wait until processes have ended. With `unshare` among them, all others of its room have then ended before."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([descriptor], [], [], END_SECONDS)
        os.close(descriptor)
        assert ended, f"process {pid} goes on"


def left_over(pid: int) -> list[Path]:
    """List the mount points of one demo."""
    return list(PARENT.glob(f"{PREFIX}{pid}-*"))


def named_namespaces() -> list[Path]:
    """List what `ip netns` would."""
    return sorted(Path("/run/netns").iterdir()) if Path("/run/netns").exists() else []


@pytest.fixture(scope="module", params=["openssh", "asyncssh"])
def played(request: pytest.FixtureRequest) -> tuple[Stage, list[Outcome], set[str]]:
    """Play the scenario to its end; give the stage, how each call went, and the namespaces there were."""
    with Stage(request.param) as stage:
        assert stage.ssh_server == request.param
        namespaces = namespaces_of(descendants(os.getpid()))
        return stage, [stage.make(call) for call in stage.calls], namespaces


def test_offences_happen(played: tuple[Stage, list[Outcome], set[str]]) -> None:
    """The reverse tunnel is established and used, and every miner logs in to the pool."""
    _, outcomes, _ = played
    effects = {outcome.call.effect: outcome.effect for outcome in outcomes if outcome.call.offence}
    assert "SSH-2.0" in effects["tunnel"]
    assert "'wallet' logged in" in effects["login:wallet"]
    assert "'night' logged in" in effects["login:night"]


def test_ordinary_calls_succeed(played: tuple[Stage, list[Outcome], set[str]]) -> None:
    """Every call that is no offence does its work, each in a process of its own that the host can name."""
    stage, outcomes, _ = played
    assert [outcome.call for outcome in outcomes] == list(stage.calls)
    assert {outcome.status for outcome in outcomes} == {0}
    assert len({outcome.pid for outcome in outcomes}) == len(outcomes)
    searched = next(outcome for outcome in outcomes if outcome.call.name == "search the sources")
    assert int(searched.output) > 0


def test_nothing_is_left(played: tuple[Stage, list[Outcome], set[str]]) -> None:
    """After the stage no process, mount point or named namespace of it is there."""
    stage, outcomes, namespaces = played
    assert len(namespaces) == 2
    assert [pid for namespace in namespaces for pid in dwellers(namespace)] == []
    assert left_over(os.getpid()) == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in (stage.agent_pid, *(outcome.pid for outcome in outcomes)))


def test_no_way_out() -> None:
    """The agent's machine has one link, to the stage's other room, and no default route; the agent is not root."""
    with Stage() as stage:
        inside = ["nsenter", f"--net=/proc/{stage.agent_pid}/ns/net", "ip", "-oneline"]
        links = subprocess.run([*inside, "link"], capture_output=True, text=True, check=True).stdout
        routes = subprocess.run([*inside, "route"], capture_output=True, text=True, check=True).stdout
        status = Path(f"/proc/{stage.agent_pid}/status").read_text()
    assert re.findall(r"^\d+: ([a-z0-9]+)", links, re.MULTILINE) == ["lo", "wire0"]
    assert "default" not in routes
    assert re.search(r"^Uid:\s+(\d+)\s+\1\s+\1\s+\1$", status, re.MULTILINE)
    assert not re.search(r"^Uid:\s+0", status, re.MULTILINE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_in_the_middle(root: Path, number: signal.Signals) -> None:
    """However the demo is ended while its tunnel stands, all its processes end; even -9 leaves but an empty folder."""
    named = named_namespaces()
    command = [sys.executable, "-m", "auditor.demo.stage"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as demo:
        assert demo.stdout is not None
        assert any("came back through the tunnel" in line for line in demo.stdout)
        started = descendants(demo.pid)
        namespaces = namespaces_of(started)
        assert len(namespaces) == 2
        demo.send_signal(number)
        demo.stdout.read()
    wait_for_end(started)
    assert [pid for namespace in namespaces for pid in dwellers(namespace)] == []
    if number == signal.SIGKILL:
        sweep(PARENT)
    assert left_over(demo.pid) == []
    assert named_namespaces() == named


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted_while_it_is_set_up(root: Path, number: signal.Signals) -> None:
    """Ended while the stage is only half there, the demo leaves nothing either."""
    command = [sys.executable, "-m", "auditor.demo.stage"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as demo:
        while not (namespaces := namespaces_of(started := descendants(demo.pid))):
            assert demo.poll() is None
        demo.send_signal(number)
    wait_for_end(started)
    assert [pid for namespace in namespaces for pid in dwellers(namespace)] == []
    sweep(PARENT)
    assert left_over(demo.pid) == []

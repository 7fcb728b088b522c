"""The processes of a run: what each may do, and what becomes of the others when one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.auditors import PATIENCE_S, PROGRAM, Offence, Run, Shell, action, await_end, children, name
from tests.kernel.remains import held_by, in_kernel, orphans

RECEIVING = "45"
"""recvfrom(2) in x86-64's table of system calls: the last that the privileged side does is to wait for the engine."""
BOUND_S = 10
"""Within this everything is gone; usually it is a hundredth."""


@pytest.fixture
def offence(tmp_path: Path) -> Offence:
    """Give a program that raises an alert."""
    return Offence(tmp_path)


def status(pid: int) -> dict[str, str]:
    """Read /proc/PID/status."""
    pairs = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {key: value.strip() for key, _, value in pairs}


def sides(run: Run) -> tuple[int, int]:
    """Give the pids of a run's engine and of its facts worker."""
    own = children(run.process.pid)
    engines = [pid for pid in own if name(pid) == "auditor-engine"]
    assert (len(own), len(engines)) == (2, 1)
    return engines[0], next(pid for pid in own if pid not in engines)


def descriptors(pid: int) -> list[str]:
    """List what a process has open."""
    return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]


def eventually(holds: Callable[[], object]) -> None:
    """Wait for what no event tells of."""
    deadline = time.monotonic() + BOUND_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_engine_and_worker_have_no_rights(offence: Offence) -> None:
    """What reads what the watched wrote is an ordinary user without capabilities, ways to them, and BPF objects."""
    with Shell() as agent, Run("--agent", f"pid:{agent.pid}", *offence.rules) as run:
        run.ready()
        agent.tell(f"{offence.program}; :")
        run.alert()
        for pid in sides(run):
            told = status(pid)
            assert 0 not in [int(uid) for uid in (told["Uid"] + " " + told["Gid"]).split()]
            assert {told[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
            assert told["NoNewPrivs"] == "1"
            assert told["Groups"] == ""
            assert [path for path in descriptors(pid) if "bpf" in path] == []
            assert held_by(pid) == frozenset()
        assert held_by(run.process.pid) != frozenset()
        assert run.end() == 0


def test_killed_worker_is_replaced(offence: Offence) -> None:
    """A facts worker that dies is replaced by another without rights, and the run goes on; so it does a second time."""
    with Shell() as agent, Run("--agent", f"pid:{agent.pid}", *offence.rules) as run:
        run.ready()
        for turn in ("first", "second"):
            engine, worker = sides(run)
            os.kill(worker, signal.SIGKILL)
            eventually(lambda worker=worker: not Path(f"/proc/{worker}").exists())
            Path(offence.program).touch()  # so that its facts are asked for again
            agent.tell(f"{offence.program} {turn}; :")
            alert = run.alert(turn)
            assert alert["process"]["args"] == [offence.program, turn]
            assert sides(run)[0] == engine
            eventually(lambda: status(sides(run)[1])["CapEff"] == "0" * 16)  # it has yet to import the parser
            assert held_by(sides(run)[1]) == frozenset()
        assert run.end() == 0
    assert run.errors == ""


def test_killed_engine_ends_the_run() -> None:
    """Without its engine a run has nothing to say: it ends at once, says why, and detaches everything."""
    before = in_kernel()
    with Shell() as agent, Run("--agent", f"pid:{agent.pid}") as run:
        run.ready()
        engine, worker = sides(run)
        os.kill(engine, signal.SIGKILL)
        assert run.end(0) == 1
        await_end(worker)
    assert run.errors.startswith("auditor: the engine process died")
    assert run.errors.count("\n") == 1
    eventually(lambda: not orphans(before))


def test_engine_killed_at_the_end_is_no_success() -> None:
    """Where the engine dies with the last of the events still to be written, the run has failed and says so."""
    with Shell() as agent, Run("--agent", f"pid:{agent.pid}") as run:
        run.ready()
        engine, _ = sides(run)
        os.kill(engine, signal.SIGSTOP)
        agent.tell("/bin/true; :")
        run.process.send_signal(signal.SIGTERM)
        eventually(lambda: Path(f"/proc/{run.process.pid}/syscall").read_text().split()[0] == RECEIVING)
        os.kill(engine, signal.SIGKILL)
        assert run.end(0) == 1
    assert run.errors.startswith("auditor: the engine process died")
    assert "auditor-end" not in [action(document) for document in run.documents]


def family(auditor: subprocess.Popen[bytes]) -> list[int]:
    """List a run's processes but the first, as far as they have been started."""
    try:
        return [pid for child in children(auditor.pid) for pid in (child, *children(child))]
    except OSError:
        return []


def started(auditor: subprocess.Popen[bytes], *arguments: str) -> bool:
    """Tell whether the program is past its imports: it has a child."""
    return family(auditor) != []


def loading(auditor: subprocess.Popen[bytes]) -> bool:
    """Tell whether some process of it has programs in the kernel."""
    return any(held_by(pid) for pid in (auditor.pid, *family(auditor)))


def attached(auditor: subprocess.Popen[bytes]) -> bool:
    """Tell whether the first process has links."""
    return any(kind == "link" for kind, _ in held_by(auditor.pid))


def ready(auditor: subprocess.Popen[bytes]) -> bool:
    """Wait for its first line."""
    assert auditor.stdout is not None
    return auditor.stdout.readline() != b""


@pytest.mark.parametrize("moment", [started, loading, attached, ready])
def test_killed_auditor_leaves_nothing(moment: Callable[[subprocess.Popen[bytes]], bool]) -> None:
    """Killed with -9 at any moment, no process of it stays, and nothing that it had in the kernel."""
    before = in_kernel()
    command = [*PROGRAM, "run", "--agent", f"pid:{os.getpid()}", "--events", "all"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as auditor:
        eventually(lambda: moment(auditor))
        others = family(auditor)
        assert others
        auditor.kill()
        auditor.communicate(timeout=PATIENCE_S)
    for pid in others:
        await_end(pid)
    eventually(lambda: not orphans(before))


def test_killed_auditor_under_load_leaves_nothing(offence: Offence) -> None:
    """Killed while events stream in, it leaves nothing either; what it watched goes on, and the next run works."""
    before = in_kernel()
    with Shell() as agent:
        with Run("--agent", f"pid:{agent.pid}") as run:
            run.ready()
            agent.tell("(while :; do /bin/true; done) > /dev/null & :")
            run.until(lambda it: action(it) == "exec")
            own = family(run.process)
            run.process.kill()
        for pid in own:
            await_end(pid)
        eventually(lambda: not orphans(before))
        with Run("--agent", f"pid:{agent.pid}", *offence.rules) as again:
            again.ready()
            agent.tell(f"{offence.program} again; :")
            again.alert("again")
            assert again.end() == 0


def test_killed_exec_leaves_the_command_alone() -> None:
    """The command of a killed auditor holds nothing of it, and goes on."""
    before = in_kernel()
    script = "echo $$; read -t 60 line; exit 0"
    command = [*PROGRAM, "exec", "--", "bash", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as auditor:
        assert auditor.stdout is not None
        first = int(auditor.stdout.readline())
        others = [pid for pid in family(auditor) if pid != first]
        assert held_by(first) == frozenset()
        auditor.kill()
        auditor.wait()
        for pid in others:
            await_end(pid)
        eventually(lambda: not orphans(before))
        assert status(first)["State"][0] == "S"
        auditor.communicate(b"\n", timeout=PATIENCE_S)
        await_end(first)

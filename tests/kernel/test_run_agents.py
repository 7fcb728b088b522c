"""`auditor run`: agents found by selectors, on the real kernel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.host.mounts import cgroup_mount
from tests.kernel.auditors import PATIENCE_S, PROGRAM, Offence, Run, Shell, action, audit, children, lines

SPAWNS = 23


@pytest.fixture
def offence(tmp_path: Path) -> Offence:
    """Give a program that raises an alert."""
    return Offence(tmp_path)


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """Give a cgroup of the test's own, with one more inside."""
    mount = cgroup_mount()
    if mount is None:
        pytest.skip("cgroup v2 is not mounted, so that no cgroup can be made")
    own = mount / f"auditor-test-{os.getpid()}"
    (own / "inner").mkdir(parents=True)
    yield own
    (own / "inner").rmdir()
    own.rmdir()


@pytest.fixture
def agent_shell(tmp_path: Path) -> str:
    """Give a shell under a name that nothing else on the host has."""
    path = tmp_path / f"agent-{uuid.uuid4().hex}"
    shutil.copy("/bin/bash", path)
    return str(path)


def selector(kind: str, agent: str, mark: str, cgroup: Path) -> str:
    """Give a selector that fits the agent with this program and mark, in this cgroup."""
    return {
        "exe": f"exe:*/{Path(agent).name[:-3]}???",
        "cmdline": f"cmdline: -s {mark}$",
        "cgroup": f"cgroup:/{cgroup.name}",
        "env": f"env:AGENT_MARK={mark}",
    }[kind]


@pytest.mark.parametrize("kind", ["pid", "exe", "cmdline", "cgroup", "env"])
def test_running_agent_is_taken_in(kind: str, offence: Offence, agent_shell: str, cgroup: Path) -> None:
    """A running agent is chosen, its descendants taken in, and their later deeds charged to the right tool call."""
    mark = uuid.uuid4().hex
    env = {**os.environ, "AGENT_MARK": mark}
    with Shell(agent_shell, "--norc", "-s", mark, env=env) as agent, Shell() as bystander:
        (cgroup / "inner" / "cgroup.procs").write_text(str(agent.pid))
        fifos = [f"{offence.program}.{n}" for n in (1, 2)]
        calls = [int(agent.tell(f"mkfifo {fifo}; bash -c 'bash {fifo}; exit' <&- & echo $!")) for fifo in fifos]
        orders = [Path(fifo).open("w") for fifo in fifos]  # noqa: SIM115 - each opens once its reader is there
        chosen = f"pid:{agent.pid}" if kind == "pid" else selector(kind, agent_shell, mark, cgroup)
        with Run("--agent", chosen, *offence.rules) as run:
            run.ready()
            bystander.tell(f"{offence.program} by nobody")
            for order, call in zip(orders, calls, strict=True):
                order.write(f"{offence.program} by {call}; exit\n")
                order.close()
                alert = run.alert("by", str(call))
                assert alert["auditor"]["tool_call"]["entity_id"].split(".")[1] == str(call)
                assert alert["auditor"]["tree"][0]["pid"] == call
                assert len(alert["auditor"]["tree"]) == 3
                assert alert["auditor"]["session"]["selector"] == chosen
            agent.tell(f"{offence.program} new; :")
            fresh = run.alert("new")
            assert fresh["process"]["pid"] == fresh["auditor"]["tree"][0]["pid"]
            assert run.end() == 0
    assert roots(run) == [agent.pid]
    assert "nobody" not in str(run.documents)


@pytest.mark.parametrize("kind", ["exe", "cmdline", "cgroup", "env"])
def test_agent_that_starts_later(kind: str, offence: Offence, agent_shell: str, cgroup: Path) -> None:
    """An agent that starts while the auditor runs is chosen at its exec, and its children are tool calls."""
    mark = uuid.uuid4().hex
    with Run("--agent", selector(kind, agent_shell, mark, cgroup), *offence.rules) as run, Shell() as launcher:
        run.ready()
        launcher.tell(f"echo $$ > {cgroup}/cgroup.procs")  # what it was before its exec is not asked
        launcher.tell(f"exec env AGENT_MARK={mark} {agent_shell} --norc -s {mark}")
        run.until(lambda it: action(it) == "session")
        launcher.tell(f"{offence.program} later; :")
        alert = run.alert("later")
        assert alert["auditor"]["session"]["id"].split(".")[1] == str(launcher.pid)
        assert [node["pid"] for node in alert["auditor"]["tree"]] == [alert["process"]["pid"]]
        assert run.end() == 0
    assert roots(run) == [launcher.pid]


def roots(run: Run) -> list[int]:
    """List the roots of a run's sessions."""
    return [it["process"]["pid"] for it in run.documents if action(it) == "session"]


def test_auditor_is_nobodys_agent() -> None:
    """However widely a selector fits, none of the auditor's own processes is taken for an agent or a tool call."""
    with Run("--agent", f"exe:{Path(sys.executable).resolve()}", "--agent", "cmdline:auditor run") as run:
        run.ready()
        own = {run.process.pid, *children(run.process.pid)}
        assert len(own) == 3
        assert run.end() == 0
    assert roots(run) != []  # these tests, for one, are run by the same Python
    assert not own & {it["process"]["pid"] for it in run.documents if "process" in it}


def test_several_selectors(offence: Offence) -> None:
    """Every selector has its agents; each agent is a session of its own, and the first selector that fits counts."""
    with Shell() as one, Shell() as two, Shell("bash", "--norc", "-s", "third") as three:
        chosen = (f"pid:{two.pid}", f"pid:{one.pid}", "cmdline:^bash --norc -s third$")
        given = [word for text in chosen for word in ("--agent", text)]
        with Run(*given, *offence.rules) as run:
            run.ready()
            for agent, text in ((one, chosen[1]), (two, chosen[0]), (three, chosen[2])):
                agent.tell(f"{offence.program} of {agent.pid}; :")
                alert = run.alert("of", str(agent.pid))
                assert alert["auditor"]["session"]["selector"] == text
                assert alert["auditor"]["session"]["id"].split(".")[1] == str(agent.pid)
            assert run.end() == 0
    assert sorted(roots(run)) == sorted(agent.pid for agent in (one, two, three))


def test_every_event_is_told_in_order(tmp_path: Path) -> None:
    """A known number of programs gives exactly as many forks, execs and exits, each process's in this order."""
    capture, output = tmp_path / "capture", tmp_path / "events.json"
    with Shell() as agent, Run("--agent", f"pid:{agent.pid}") as run:
        run.ready()
        with Run("--agent", f"pid:{agent.pid}", "--output", output, "--capture", capture) as other:
            while b'"tick"' not in (output.read_bytes() if output.exists() else b""):
                assert other.process.poll() is None
            agent.tell(f"for n in {{1..{SPAWNS}}}; do /bin/true $n; done")
            assert run.end() == 0
            assert other.end() == 0
    for documents in (run.documents, lines(output.read_bytes())):
        actions = [action(document) for document in documents]
        assert (actions[0], actions[-1]) == ("auditor-start", "auditor-end")
        assert [actions.count(word) for word in ("fork", "exec", "exit", "loss")] == [SPAWNS, SPAWNS, SPAWNS, 0]
        told: dict[int, list[str]] = {}
        for document in documents:
            if action(document) in {"fork", "exec", "exit"}:
                told.setdefault(document["process"]["pid"], []).append(action(document))
        assert list(told.values()) == [["fork", "exec", "exit"]] * SPAWNS
        numbers = [it["process"]["args"][1] for it in documents if action(it) == "exec"]
        assert numbers == [str(n + 1) for n in range(SPAWNS)]
    replayed = lines(audit("replay", "--events", "all", capture).stdout)
    assert [action(document) for document in replayed] == [action(it) for it in lines(output.read_bytes())]
    assert capture.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_signal_flushes_what_was_seen(number: signal.Signals, reason: str, tmp_path: Path) -> None:
    """What happened before the signal is in the stream and in the capture; an end closes both, and all is well."""
    capture = tmp_path / "capture"
    with Shell() as agent, Run("--agent", f"pid:{agent.pid}", "--capture", capture) as run:
        run.ready()
        agent.tell("/bin/true the last; :")
        os.killpg(run.process.pid, number)
        assert run.end(0) == 0
    assert run.errors == ""
    for documents in (run.documents, lines(audit("replay", "--events", "all", capture).stdout)):
        assert [it["process"]["args"] for it in documents if action(it) == "exec"] == [["/bin/true", "the", "last"]]
        assert action(documents[-1]) == "auditor-end"
        assert documents[-1]["auditor"]["end"]["reason"] == reason


def test_duration_ends_the_run() -> None:
    """--duration ends a run in good order."""
    done = audit("run", "--agent", f"pid:{os.getpid()}", "--events", "all", "--duration", "0.1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert [action(lines(done.stdout)[at]) for at in (0, -1)] == ["auditor-start", "auditor-end"]


def test_reader_that_leaves_ends_the_run(offence: Offence) -> None:
    """When whoever reads standard output has gone, the run ends with one line that says so."""
    with Shell() as agent:
        command = [*PROGRAM, "run", "--agent", f"pid:{agent.pid}", "--events", "all", *offence.rules]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as auditor:
            assert auditor.stdout is not None
            assert b"auditor-start" in auditor.stdout.readline()
            auditor.stdout.close()
            agent.tell(f"{offence.program} unread; :")
            assert auditor.stderr is not None
            errors = auditor.stderr.read()
            assert auditor.wait(PATIENCE_S) == 1
    assert errors == b"auditor: cannot write standard output: Broken pipe\n"

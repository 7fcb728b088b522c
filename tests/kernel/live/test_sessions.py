"""Sessions: taking processes in, on the real kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.decode.wire import decode
from auditor.errors import HostError
from auditor.host.cgroups import Root
from auditor.host.selectors import parse
from auditor.host.snapshots import read_process
from auditor.kernel.probes import AGENT, CALL_ROOT, HOLDS_GPU, Probes
from auditor.live.sessions import Sessions, match
from auditor.model.events import Event, Exec, Session, ToolCall
from auditor.model.records import Flag, LabelSource
from tests.kernel.auditors import Shell, await_end


@pytest.fixture
def cgroups() -> Iterator[Root]:
    """Give the cgroup root."""
    root = Root()
    yield root
    root.close()


@pytest.fixture
def sessions(probes: Probes, cgroups: Root) -> Sessions:
    """Give sessions; no device is a GPU."""
    return Sessions(probes, cgroups, lambda _: False)


@pytest.fixture
def agent() -> Iterator[Shell]:
    """Give a shell that waits for orders."""
    with Shell() as shell:
        yield shell


@pytest.fixture
def orphan() -> Iterator[int]:
    """Give a process that is nobody's child here."""
    hold, release = os.pipe()
    script = ["bash", "-c", f"bash -c 'read -u {hold}' > /dev/null & echo $!"]
    pid = int(subprocess.run(script, pass_fds=[hold], stdout=subprocess.PIPE, check=True).stdout)
    yield pid
    os.close(hold)
    os.close(release)
    await_end(pid)


def of(events: list[Event], kind: type[Event]) -> list[Event]:
    """Choose the events of a type."""
    return [event for event in events if isinstance(event, kind)]


def adopt(sessions: Sessions, cgroups: Root, pid: int) -> list[Event]:
    """Take a running process in; gives what is told of it."""
    snapshot = read_process(pid, cgroups)
    assert snapshot is not None
    return decode(sessions.adopt(snapshot, f"pid:{pid}", LabelSource.SEEDED))


def test_tree_is_taken_in(sessions: Sessions, cgroups: Root, probes: Probes, agent: Shell, tmp_path: Path) -> None:
    """An agent's children are tool calls, what they started belongs to them, and the session is told first."""
    os.mkfifo(tmp_path / "fifo")
    wait = f"read line < {tmp_path}/fifo"
    call = int(agent.tell(f"bash -c 'bash -c \"echo \\$\\$; {wait}; exit\"; exit' & echo $!"))
    with (tmp_path / "fifo").open("w"):  # the grandchild is there once it opens the other end
        (inner,) = [int(pid) for pid in Path(f"/proc/{call}/task/{call}/children").read_text().split()]
        events = adopt(sessions, cgroups, agent.pid)
        assert isinstance(events[0], Session)
        assert (events[0].selector, events[0].id, events[0].tgid) == (f"pid:{agent.pid}", "", agent.pid)
        seeds = {seed.tgid: seed for seed in events if isinstance(seed, Exec)}
        assert list(seeds) == [agent.pid, call, inner]
        assert [seeds[pid].flags & (Flag.AGENT | Flag.CALL_ROOT) for pid in seeds] == [Flag.AGENT, Flag.CALL_ROOT, 0]
        labels = {pid: probes.label(pid) for pid in seeds}
        assert [label.bits for label in labels.values() if label] == [AGENT, CALL_ROOT, 0]
        assert [label.call_tgid for label in labels.values() if label] == [0, call, call]
        assert {label.session for label in labels.values() if label} == {events[0].session}
        assert {seed.label_source for seed in seeds.values()} == {LabelSource.SEEDED}


def test_process_that_is_gone_leaves_no_label(sessions: Sessions, cgroups: Root, probes: Probes) -> None:
    """A process that ended after it was looked at is no session, and its pid is not tracked."""
    with Shell() as shell:
        snapshot = read_process(shell.pid, cgroups)
    assert snapshot is not None
    assert sessions.adopt(snapshot, "pid", LabelSource.SEEDED) == b""
    assert probes.label(snapshot.tgid) is None


def test_matching_takes_each_process_once(sessions: Sessions, probes: Probes, orphan: int) -> None:
    """Of all running processes the matching ones are taken in, once, and never the auditor or what is above it."""
    selectors = [parse(f"pid:{pid}") for pid in (orphan, os.getpid(), os.getppid())]
    found = decode(sessions.adopt_matching(selectors))
    assert [event.tgid for event in of(found, Session)] == [orphan]
    assert sessions.adopt_matching(selectors) == b""
    assert probes.label(os.getpid()) is None


def test_own_children_are_nobodys_agents(sessions: Sessions, probes: Probes, agent: Shell) -> None:
    """What the auditor itself has started, as this process has the shell, is not taken in by a selector that fits."""
    assert sessions.adopt_matching([parse(f"pid:{agent.pid}")]) == b""
    assert probes.label(agent.pid) is None


def test_holder_of_a_gpu_is_marked(probes: Probes, cgroups: Root, agent: Shell) -> None:
    """A process that has a GPU open when it is taken in is labelled as its holder, and the caller can tell."""
    null = Path(os.devnull).stat().st_rdev
    number = os.major(null) << 20 | os.minor(null)
    sessions = Sessions(probes, cgroups, lambda rdev: rdev == number)
    agent.tell("exec 7> /dev/null")
    assert not sessions.holders_found
    adopt(sessions, cgroups, agent.pid)
    label = probes.label(agent.pid)
    assert label is not None
    assert label.bits == AGENT | HOLDS_GPU
    assert sessions.holders_found


def test_registered_command(sessions: Sessions, probes: Probes) -> None:
    """A command's process is labelled by the very fork; the names given to session and call are told with it."""
    hold, release = os.pipe()

    def start() -> int:
        pid = os.fork()
        if pid == 0:
            os.close(release)
            os.read(hold, 1)
            os._exit(0)
        return pid

    events = decode(sessions.register(start, "night", "t1"))
    session, call = of(events, Session)[0], of(events, ToolCall)[0]
    label = probes.label(session.tgid)
    assert probes.label(os.getpid()) is None
    os.close(release)
    os.close(hold)
    assert os.waitpid(session.tgid, 0)[1] == 0
    assert label is not None
    assert (session.id, session.selector, call.id) == ("night", "exec", "t1")
    assert (label.call_tgid, label.call_start_ns) == (session.tgid, label.start_ns) == (call.tgid, call.start_ns)
    assert label.source == LabelSource.REGISTERED
    assert label.bits == CALL_ROOT
    assert label.start_ns % 10_000_000 != 0  # exact, not to a clock tick


def test_unlabelled_command_is_an_error(sessions: Sessions, probes: Probes) -> None:
    """Where the fork was not seen, the run fails, and this process is not left tracked."""
    with pytest.raises(HostError, match="not labelled at fork"):
        sessions.register(lambda: 4_194_303, "", "")
    assert probes.label(os.getpid()) is None


def test_first_selector_that_matches_is_told() -> None:
    """The selector that chose a process is the first that fits."""
    own = read_process(os.getpid())
    assert own is not None
    selectors = [parse("pid:1"), parse(f"pid:{os.getpid()}"), parse("exe:*")]
    assert match(selectors, own) == f"pid:{os.getpid()}"
    assert match(selectors[:1], own) is None

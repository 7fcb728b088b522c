"""Selectors: how agents are named."""

import os
from typing import NamedTuple

import pytest

from auditor.errors import UsageError
from auditor.host import snapshots
from auditor.host.cgroups import Root
from auditor.host.selectors import KINDS, parse
from tests.builders import make_exec


class Candidate(NamedTuple):
    """The least that a selector may ask for."""

    tgid: int = 100
    executable: str = "/opt/agents/bin/claude"
    args: tuple[str, ...] = ("claude", "--print", "fix the tests")
    env: tuple[str, ...] = ("HOME=/root", "CLAUDECODE=1", "EMPTY=")
    cgroup_id: int = 1


@pytest.mark.parametrize(
    "text",
    [
        "pid:100",
        "exe:claude",
        "exe:cl*",
        "exe:*/claude",
        "exe:/opt/agents/bin/*",
        "exe:/opt/*",
        "cmdline:--print fix",
        "cmdline:^claude .* tests$",
        "env:CLAUDECODE",
        "env:CLAUDECODE=1",
        "env:EMPTY=",
    ],
)
def test_selector_chooses(text: str) -> None:
    """Each form chooses a process that is as it says."""
    selector = parse(text)
    assert selector.matches(Candidate())
    assert selector.text == text


@pytest.mark.parametrize(
    "text",
    [
        "pid:101",
        "exe:claud",
        "exe:agents/bin/claude",
        "exe:Claude",
        "cmdline:tests.$",
        "env:CLAUDE",
        "env:CLAUDECODE=",
        "env:CLAUDECODE=11",
        "env:claudecode",
    ],
)
def test_selector_passes_others_by(text: str) -> None:
    """Each form leaves out what it does not say: whole names, whole values, the case as written."""
    assert not parse(text).matches(Candidate())


def test_newlines_in_names_hide_nothing() -> None:
    """A glob spans newlines, so that a file's odd name does not slip through."""
    assert parse("exe:/tmp/*").matches(Candidate(executable="/tmp/a\nb"))
    assert not parse("exe:claude").matches(Candidate(executable="/x/claude\n"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "claude",
        "pid",
        "pid:",
        "exe:",
        "uid:0",
        "PID:1",
        "pid:0",
        "pid:-1",
        "pid:1x",
        "pid:\u0661",
        "pid:99999999999999999999",
        "cmdline:(",
        "env:=1",
    ],
)
def test_nonsense_is_told_in_one_line(text: str) -> None:
    """What is no selector is a usage error of one line that lists the kinds."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    message = str(caught.value)
    assert KINDS in message
    assert "\n" not in message


def test_exec_and_snapshot_are_candidates() -> None:
    """Selectors take a decoded exec and a snapshot of a living process alike."""
    exec_event = make_exec(tgid=321, executable="/usr/bin/agent")
    snapshot = snapshots.read_process(os.getpid())
    assert snapshot is not None
    assert parse("exe:agent").matches(exec_event)
    assert parse("pid:321").matches(exec_event)
    assert parse(f"pid:{os.getpid()}").matches(snapshot)
    assert parse("cmdline:pytest").matches(snapshot)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_cgroup_takes_in_what_is_below() -> None:
    """The root cgroup has every process; a cgroup that is not there has none."""
    root = Root()
    try:
        candidate = Candidate(cgroup_id=root.id_of_process(os.getpid()))
    finally:
        root.close()
    assert parse("cgroup:/").matches(candidate)
    assert not parse("cgroup:/no/such/cgroup").matches(candidate)

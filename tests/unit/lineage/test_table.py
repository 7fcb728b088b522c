"""The process table."""

from __future__ import annotations

import pytest

from auditor.lineage.ancestry import Ancestry
from auditor.lineage.table import Table
from auditor.model.processes import Process
from auditor.model.records import Flag, Kind
from tests.builders import (
    MILLISECOND,
    make_connect,
    make_end,
    make_exec,
    make_executable,
    make_exit,
    make_fork,
    make_gpu_open,
    make_gpu_summary,
    make_gpu_use,
    make_loss,
    make_session,
    make_start,
    make_tick,
    make_tool_call,
)


@pytest.fixture
def table() -> Table:
    """Give a table in which the agent 99 and its call's first process 100 live."""
    table = Table()
    for event in (
        make_start(),
        make_session(),
        make_exec(99, ("agent",), call=0, flags=Flag.AGENT, parent_tgid=1),
        make_tool_call(),
        make_fork(100, 99, flags=Flag.CALL_ROOT),
        make_exec(flags=Flag.CALL_ROOT),
    ):
        table.apply(event)
    return table


def line(process: Process | None) -> list[int]:
    """List a process and its ancestors by pid."""
    found = []
    while process is not None:
        found.append(process.task.tgid)
        process = process.parent
    return found


def test_entity_id_names_boot_pid_and_start(table: Table) -> None:
    """An entity id is unique over boots and reused pids."""
    assert table.apply(make_connect()).entity_id == "0b07b07b.100.1000000000"


def test_ancestry_leads_to_the_session_root(table: Table) -> None:
    """A process knows its ancestors up to the agent."""
    table.apply(make_fork(101, 100, call=100))
    process = table.apply(make_exec(101, ("ssh",), parent_tgid=100, call=100))
    assert line(process) == [101, 100, 99]
    assert (process.session.id, process.call.id) == ("s1", "t1")
    assert process.call.first.task.tgid == 100


def test_ancestry_survives_the_parents(table: Table) -> None:
    """When every ancestor is long gone, and reparenting told another parent, the line is still known."""
    table.apply(make_fork(101, 100, call=100))
    table.apply(make_fork(102, 101, call=100))
    for pid in (100, 101):
        table.apply(make_exit(pid, call=100))
    for pid in range(1000, 12_000):
        table.apply(make_fork(pid, 99))
        table.apply(make_exit(pid))
    process = table.apply(make_exec(102, ("daemon",), parent_tgid=1, call=100))
    assert line(process) == [102, 101, 100, 99]


def test_fork_runs_its_parents_program(table: Table) -> None:
    """A child shows its parent's program until it executes one of its own."""
    child = table.apply(make_fork(101, 100, call=100))
    assert (child.executable, child.args, child.uid, child.exec_count) == (
        "/usr/bin/bash",
        ("bash", "-c", "id"),
        1000,
        0,
    )
    table.apply(make_exec(101, ("id",), call=100, uid=7))
    assert (child.executable, child.command_line, child.uid, child.exec_count) == ("/usr/bin/id", "id", 7, 1)


def test_image_flags_are_inherited_and_replaced(table: Table) -> None:
    """A child of a program from memory runs from memory too, until its exec."""
    table.apply(make_exec(100, executable="/memfd:x (deleted)", flags=Flag.MEMFD))
    child = table.apply(make_fork(101, 100, call=100))
    assert child.flags & Flag.MEMFD
    table.apply(make_exec(101, call=100))
    assert not child.flags & Flag.MEMFD


def test_exec_clears_the_rendering(table: Table) -> None:
    """What was rendered of a process is dropped when it runs something else."""
    process = table.apply(make_connect())
    process.document = b"rendered"
    table.apply(make_connect())
    assert process.document == b"rendered"
    table.apply(make_exec(100, ("id",)))
    assert process.document is None


@pytest.mark.parametrize(
    "event",
    [make_connect(500), make_gpu_open(500), make_gpu_use(500), make_gpu_summary(500), make_exit(500), make_exec(500)],
)
def test_unknown_process_is_made_of_its_record(table: Table, event) -> None:
    """After a lost fork, a process is known by what its own record says; its lineage ends there."""
    process = table.apply(event)
    assert process.task == (500, event.start_ns)
    assert (process.session.id, process.call.task.tgid) == ("s1", 500)
    assert process.parent is None or process.parent.task.tgid == 99


def test_lost_fork_is_mended_by_the_execs_parent(table: Table) -> None:
    """An exec of an unknown process names its parent, which may be known."""
    process = table.apply(make_exec(101, ("ssh",), parent_tgid=100, call=100))
    assert line(process) == [101, 100, 99]


def test_reused_pid_is_another_process(table: Table) -> None:
    """The same pid with another start time is someone else."""
    first = table.apply(make_fork(101, 100, call=100))
    second = table.apply(make_fork(101, 100, call=100, start_ns=5_000_000_000))
    assert first is not second
    assert first.entity_id != second.entity_id


def test_seed_is_found_by_its_exact_start(table: Table) -> None:
    """A process found in /proc, known to the tick, is the one whose records have the exact start in that tick."""
    seed = table.apply(make_exec(200, kind=Kind.SEED, start_ns=2000 * MILLISECOND))
    exact = table.apply(make_connect(200, start_ns=2007 * MILLISECOND + 5))
    assert exact is seed
    assert seed.seeded
    assert seed.entity_id == "0b07b07b.200.2000000000"
    assert table.apply(make_connect(200, start_ns=2000 * MILLISECOND)) is seed
    assert table.apply(make_connect(200, start_ns=2010 * MILLISECOND)) is not seed
    assert len(table) == 4


def test_seed_is_found_as_a_parent(table: Table) -> None:
    """A child names its parent's exact start, which /proc did not tell."""
    seed = table.apply(make_exec(200, kind=Kind.SEED, start_ns=2000 * MILLISECOND))
    child = table.apply(make_fork(201, 200, parent_start_ns=2003 * MILLISECOND, call=200))
    assert child.parent is seed


def test_seed_that_ended_is_forgotten(table: Table) -> None:
    """After its exit, records of the exact start still find the seeded process."""
    seed = table.apply(make_exec(200, kind=Kind.SEED, start_ns=2000 * MILLISECOND))
    assert table.apply(make_exit(200, start_ns=2003 * MILLISECOND)) is seed
    assert table.apply(make_gpu_summary(200, start_ns=2003 * MILLISECOND)) is seed
    assert len(table) == 2


def test_seed_of_a_known_process_changes_nothing(table: Table) -> None:
    """What the kernel told is not overwritten by what /proc shows."""
    process = table.apply(make_exec(100, ("stale",), kind=Kind.SEED))
    assert (process.executable, process.seeded, process.exec_count) == ("/usr/bin/bash", False, 1)


def test_fork_of_a_seed_gives_it_its_parent(table: Table) -> None:
    """When the fork's record comes after the process was found in /proc, it adds the parent."""
    seed = table.apply(make_exec(200, ("x",), kind=Kind.SEED, parent_tgid=12345))
    assert seed.parent is None
    assert table.apply(make_fork(200, 100)) is seed
    assert line(seed) == [200, 100, 99]


def test_exit_is_noted(table: Table) -> None:
    """An exit leaves its time and status, and drops what only a living process needs."""
    table.apply(make_executable())
    process = table.apply(make_exit(100, status=256))
    assert (process.exit_status, process.env) == (256, ())
    assert process.exit_ns is not None
    assert len(table) == 1


def test_late_facts_find_processes_that_ended(table: Table) -> None:
    """A program that ended before its file was read is judged all the same."""
    process = table.apply(make_exec(101, ("xmrig",), call=100))
    table.apply(make_exit(101, call=100))
    event = make_executable(process.exec_event, marks=("miner:stratum",))
    table.apply(event)
    assert table.late(event) == [process]
    assert process.facts is event
    assert process.exec_event.args == ("xmrig",)


def test_known_facts_are_there_at_the_exec(table: Table) -> None:
    """Facts that came before are on the process at once, and nobody is late."""
    event = make_executable(make_exec(101, ("xmrig",)))
    table.apply(event)
    assert table.apply(make_exec(101, ("xmrig",), call=100)).facts is event
    assert table.late(event) == []


def test_late_name_of_a_call_is_rendered(table: Table) -> None:
    """When a call gets its name after it began, its processes are rendered again."""
    process = table.apply(make_connect())
    process.document = b"rendered"
    table.apply(make_tool_call(id="late"))
    assert (process.call.id, process.document) == ("late", None)


@pytest.mark.parametrize(
    "event", [make_tick(), make_end(), make_loss(), make_executable(), make_exec(kind=Kind.CANDIDATE), make_session()]
)
def test_stream_events_have_no_process(table: Table, event) -> None:
    """Events about the stream act on nobody, and an untracked exec is not taken in."""
    assert table.apply(event) is None
    assert len(table) == 2


def test_connections_are_counted(table: Table) -> None:
    """A process knows how often it connected."""
    for _ in range(3):
        process = table.apply(make_connect())
    assert table.apply(make_connect(kind=Kind.SEND)) is process
    assert process.connections == 4


def test_live_processes_are_bounded() -> None:
    """When the table is full the oldest process is evicted, and that is counted."""
    table = Table(capacity=10)
    for pid in range(1, 31):
        table.apply(make_fork(pid, 0))
    assert len(table) == 10
    assert table.counters["lineage.evicted"] == 20
    assert table.apply(make_connect(30)).comm == "bash"
    assert table.apply(make_connect(1)).comm == ""


def test_fork_and_exit_cannot_grow_the_table() -> None:
    """An endless chain in which each process forks the next and ends keeps a bounded line to the call's first."""
    table = Table(exited=16, ancestry=Ancestry(chain=64))
    table.apply(make_exec(1, flags=Flag.CALL_ROOT))
    for pid in range(2, 3000):
        process = table.apply(make_fork(pid, pid - 1, call=1))
        table.apply(make_exit(pid - 1, call=1))
    pids = line(process)
    assert pids[-1] == 1
    assert len(pids) < 64 + 16 + 2
    assert len(table) == 1
    assert table.counters["lineage.elided"] == 2999 - len(pids)


def test_another_start_begins_anew(table: Table) -> None:
    """After another start, the same numbers are other processes, sessions and calls."""
    table.apply(make_start(boot_id="ffffffff-0000"))
    assert len(table) == 0
    process = table.apply(make_connect())
    assert process.entity_id == "ffffffff.100.1000000000"
    assert process.session.id != "s1"

"""Processes rendered."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.lineage.table import Table
from auditor.model.records import Flag
from auditor.sinks.fragments import Fragments, members
from tests.builders import make_connect, make_exec, make_executable, make_fork, make_session, make_start

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.fixture
def table() -> Table:
    """Give a table with an agent and its call's first process."""
    table = Table()
    for event in (make_start(), make_session(), make_exec(99, ("agent", "-x"), call=0), make_exec()):
        table.apply(event)
    return table


def acting(fragments: Fragments, process) -> dict:
    """Render what every event says of a process, and parse it."""
    return orjson.loads(b"{%b}}" % fragments.acting(process))


def executed(fragments: Fragments, event, process) -> dict:
    """Render an exec, and parse it."""
    return orjson.loads(b"{%b}" % fragments.executed(event, process))


def test_acting_process(table: Table) -> None:
    """Every event says who acts, below whom, for whom."""
    process = table.apply(make_connect())
    assert acting(Fragments(), process) == {
        "process": {
            "pid": 100,
            "entity_id": "0b07b07b.100.1000000000",
            "executable": "/usr/bin/bash",
            "name": "bash",
            "parent": {"pid": 99, "entity_id": "0b07b07b.99.990000000"},
        },
        "user": {"id": "1000", "group": {"id": "1000"}},
        "auditor": {
            "label_source": "inherited",
            "session": {"id": "s1"},
            "tool_call": {"id": "0b07b07b.100.1000000000", "entity_id": "0b07b07b.100.1000000000"},
        },
    }


def test_acting_is_kept_on_the_process(table: Table) -> None:
    """What was rendered is where the next event finds it."""
    process = table.apply(make_connect())
    assert Fragments().acting(process) is process.document


def test_executed_leaves_the_same_for_later(table: Table) -> None:
    """After an exec, later events of the process find what rendering it anew would give."""
    fragments = Fragments()
    event = make_exec(101, ("ssh", "-R"), parent_tgid=100, call=100)
    process = table.apply(event)
    document = executed(fragments, event, process)
    kept = process.document
    assert fragments.acting(process) == kept
    assert document["process"]["args"] == ["ssh", "-R"]
    assert document["process"]["parent"]["command_line"] == "bash -c id"
    assert "command_line" not in orjson.loads(b"{%b}}" % kept)["process"]["parent"]


def test_parents_next_program_is_told(table: Table) -> None:
    """A parent that executes something else is shown to later children with that."""
    fragments = Fragments()
    first = table.apply(make_exec(101, ("a",), parent_tgid=100, call=100))
    assert b"bash -c id" in fragments.running(first)
    table.apply(make_exec(100, ("zsh",)))
    second = table.apply(make_exec(102, ("b",), parent_tgid=100, call=100))
    assert b"bash -c id" not in fragments.running(second)
    assert b"zsh" in fragments.running(second)


def test_renamed_process_shows_both_names(table: Table) -> None:
    """A process that goes by another name than its file's has both."""
    process = table.apply(make_exec(101, ("ssh",), comm="kworker/0:1"))
    assert acting(Fragments(), process)["process"]["thread"] == {"name": "kworker/0:1"}


def test_unknown_and_elided_parents(table: Table) -> None:
    """Of a parent that was never seen, or was left out, the pid alone is told."""
    process = table.apply(make_exec(500, ("x",), parent_tgid=400))
    assert acting(Fragments(), process)["process"]["parent"] == {"pid": 400}
    child = table.apply(make_fork(501, 500))
    child.elided = 2
    assert acting(Fragments(), child)["process"]["parent"] == {"pid": 500}


def test_facts_that_come_later_are_told(table: Table) -> None:
    """An exec of a file whose facts came since tells them."""
    fragments = Fragments()
    event = make_exec(101, ("x",), call=100)
    assert "marks" not in executed(fragments, event, table.apply(event))["auditor"]["executable"]
    table.apply(make_executable(event, marks=("miner:xmr",)))
    again = event._replace(tgid=102)
    assert executed(fragments, again, table.apply(again))["auditor"]["executable"]["marks"] == ["miner:xmr"]


def test_what_the_kernel_alone_knows(table: Table) -> None:
    """An exec tells namespaces, group and terminal; a record that knows none of them tells none."""
    event = make_exec(101, ("x",), tty="pts0", egid=5, flags=Flag.ARGV_TRUNCATED)
    about = executed(Fragments(), event, table.apply(event))["auditor"]["process"]
    assert (about["tty"], about["egid"], about["flags"], about["ns_pid"]) == ("pts0", 5, ["argv-truncated"], 101)
    bare = make_exec(102, ("x",), pid_ns=0)
    assert "process" not in executed(Fragments(), bare, table.apply(bare))["auditor"]


@given(TEXT, TEXT, TEXT, st.lists(TEXT, max_size=4))
def test_any_text_gives_valid_json(comm: str, executable: str, cwd: str, args: list[str]) -> None:
    """Whatever a process is called and given, its rendering is valid and says the same."""
    table = Table()
    event = make_exec(101, tuple(args), executable="/" + executable, cwd=cwd, comm=comm)
    process = table.apply(event)
    document = executed(Fragments(), event, process)["process"]
    assert document["executable"] == "/" + executable
    assert document.get("args", []) == args
    assert document.get("working_directory", "") == cwd


def test_caches_are_bounded() -> None:
    """Many more processes, users and calls than the caches hold are all rendered right."""
    table, fragments = Table(), Fragments()
    for pid in range(1, 2500):
        event = make_exec(pid, (f"x{pid}",), uid=pid, cwd=f"/{pid}", ino=pid, parent_tgid=pid - 1)
        document = executed(fragments, event, table.apply(event))
        assert document["process"]["name"] == f"x{pid}"
        assert document["user"]["id"] == str(pid)
        assert document["auditor"]["executable"]["inode"] == pid
    assert max(len(cache) for cache in vars(fragments).values()) <= 1024


def test_members_are_an_object_without_braces() -> None:
    """Pieces can be put side by side."""
    assert members({"a": 1, "b": "x"}) == b'"a":1,"b":"x"'

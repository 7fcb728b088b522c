"""Who is who in a stream of documents."""

from __future__ import annotations

import orjson
import pytest

from auditor.decode.document import Document
from auditor.decode.identities import Identities
from auditor.model.events import Session, ToolCall
from auditor.model.records import Flag, Kind, LabelSource, TaskId


def doc(pid: int | None = 100, parent: int | None = None, **more) -> Document:
    """Make a document about a process."""
    fields = {
        "process.pid": pid,
        "process.parent.pid": parent,
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    return Document(orjson.dumps({key: value for key, value in fields.items() if value is not None}))


class Reader:
    """Identities, with a clock."""

    def __init__(self) -> None:
        self.identities = Identities()
        self.now = 1000

    def __call__(self, kind: int, document: Document, at: int | None = None):
        """Identify at the next moment, or at the one given."""
        self.now = self.now + 10 if at is None else at
        return self.identities.identify(kind, self.now, document)

    def task(self, kind: int, document: Document, at: int | None = None) -> TaskId:
        """Give the task that a document is about."""
        header = self(kind, document, at).header
        return TaskId(header[2], header[4])


def test_exact_identity_is_taken_as_it_stands() -> None:
    """An entity id of our own form is the task id."""
    reader = Reader()
    document = doc(process__entity_id="0b07b07b.100.555", process__parent__entity_id="0b07b07b.99.444")
    who = reader(Kind.EXEC, document)
    assert (who.header[2], who.header[4]) == (100, 555)
    assert who.parent == TaskId(99, 444)


def test_pid_is_one_process_until_its_exit() -> None:
    """Documents about a pid are about one process; after its exit about another."""
    reader = Reader()
    first = reader.task(Kind.EXEC, doc())
    assert reader.task(Kind.CONNECT, doc()) == first
    assert reader.task(Kind.EXIT, doc()) == first
    assert reader.task(Kind.EXEC, doc()) != first


def test_exec_below_the_same_parent_is_the_same_process() -> None:
    """An exec is another program of the same process, and below another parent another process."""
    reader = Reader()
    first = reader.task(Kind.EXEC, doc(parent=99))
    assert reader.task(Kind.EXEC, doc(parent=99)) == first
    assert reader.task(Kind.EXEC, doc()) == first
    assert reader.task(Kind.EXEC, doc(parent=98)) != first


def test_fork_is_always_another_process() -> None:
    """A fork gives a pid a new life even if its exit was never seen."""
    reader = Reader()
    assert reader.task(Kind.FORK, doc(parent=99)) != reader.task(Kind.FORK, doc(parent=99))


def test_lives_at_one_moment_differ() -> None:
    """Two lives of a pid within one millisecond are two tasks."""
    reader = Reader()
    first = reader.task(Kind.EXEC, doc(), at=5)
    reader(Kind.EXIT, doc(), at=5)
    assert reader.task(Kind.EXEC, doc(), at=5) != first


def test_parent_is_the_process_met_before() -> None:
    """A parent's pid names the process that has it now."""
    reader = Reader()
    parent = reader.task(Kind.EXEC, doc(99))
    assert reader(Kind.EXEC, doc(100, 99)).parent == parent
    assert reader(Kind.EXEC, doc(101, 0)).parent is None


def test_names_come_once() -> None:
    """The first document of a session and of a call gives their names, and the next ones do not."""
    reader = Reader()
    label = {"auditor__session__id": "s", "auditor__tool_call__id": "t"}
    who = reader(Kind.EXEC, doc(100, 99, **label))
    assert [type(event) for event in who.news] == [Session, ToolCall]
    assert [event.id for event in who.news] == ["s", "t"]
    assert who.news[0].tgid == 99
    assert who.header[1] == Flag.CALL_ROOT
    assert (who.header[8], who.header[7]) == (100, who.header[4])
    assert reader(Kind.CONNECT, doc(100, **label)).news == ()


def test_default_name_of_a_call_is_no_news() -> None:
    """A call that is named after its first process was given no name."""
    reader = Reader()
    own = {"auditor__tool_call__id": "0b07b07b.100.5", "auditor__tool_call__entity_id": "0b07b07b.100.5"}
    who = reader(Kind.EXEC, doc(100, process__entity_id="0b07b07b.100.5", auditor__session__id="s", **own))
    assert [type(event) for event in who.news] == [Session]
    assert who.header[7:9] == (5, 100)


def test_call_repeated_on_descendants_is_one_call() -> None:
    """A call's name on a descendant's document means the call of the process that had it first."""
    reader = Reader()
    label = {"auditor__session__id": "s", "auditor__tool_call__id": "t"}
    first = reader(Kind.EXEC, doc(100, 99, **label))
    second = reader(Kind.EXEC, doc(101, 100, **label))
    assert second.header[7:9] == first.header[7:9]
    assert not second.header[1] & Flag.CALL_ROOT


def test_same_call_name_in_two_sessions_is_two_calls() -> None:
    """Tool calls are told apart by session."""
    reader = Reader()
    one = reader(Kind.EXEC, doc(100, auditor__session__id="a", auditor__tool_call__id="t"))
    two = reader(Kind.EXEC, doc(200, auditor__session__id="b", auditor__tool_call__id="t"))
    assert one.header[7:9] != two.header[7:9]


def test_session_alone_is_the_agent() -> None:
    """A process with a session and no call, below nobody who has a label, is the agent."""
    header = Reader()(Kind.EXEC, doc(99, auditor__session__id="s")).header
    assert (header[1], header[6], header[8]) == (Flag.AGENT, 1, 0)


def test_session_alone_below_a_call_is_inherited() -> None:
    """A descendant whose document repeats the session only stays in its call: its record has no label of its own."""
    reader = Reader()
    reader(Kind.EXEC, doc(100, 99, auditor__session__id="s", auditor__tool_call__id="t"))
    header = reader(Kind.EXEC, doc(101, 100, auditor__session__id="s")).header
    assert header[6:9] == (0, 0, 0)


def test_label_source_is_read() -> None:
    """Our own documents say where a label came from; on others it was given."""
    reader = Reader()
    own = doc(100, auditor__session__id="s", auditor__tool_call__id="t", auditor__label_source="inherited")
    assert reader(Kind.EXEC, own).header[9] == LabelSource.INHERITED
    other = doc(101, auditor__session__id="s", auditor__tool_call__id="u")
    assert reader(Kind.EXEC, other).header[9] == LabelSource.REGISTERED


@pytest.mark.parametrize(
    ("pid", "problem"), [(None, "no process.pid"), (-5, "out of range"), (1 << 40, "out of range")]
)
def test_nobody_is_an_error(pid: int | None, problem: str) -> None:
    """A document that names no process cannot be read."""
    with pytest.raises(ValueError, match=problem):
        Reader()(Kind.EXEC, doc(pid))

"""ECS documents back to events."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.decode.ecs import DocumentReader, read_documents
from auditor.errors import CaptureError
from auditor.lineage.table import Table
from auditor.model.events import Connect, Exec, Executable, Exit, Fork, Loss, Session, Start, ToolCall
from auditor.model.records import Kind

# The two lines of the least form, as they are documented.
EXEC = (
    '{"@timestamp":"2026-11-21T10:00:00.000Z","event":{"kind":"event","category":["process"],"type":["start"],'
    '"action":"exec"},"process":{"pid":100,"executable":"/usr/bin/bash","args":["bash","-c","id"],"parent":{"pid":99}},'
    '"auditor":{"session":{"id":"s1"},"tool_call":{"id":"t1"}}}\n'
)
CONNECT = (
    '{"@timestamp":"2026-11-21T10:00:00.010Z","event":{"kind":"event","category":["network"],"type":["connection",'
    '"start"],"action":"connect"},"process":{"pid":100},"destination":{"ip":"203.0.113.66","port":22},'
    '"network":{"transport":"tcp"}}\n'
)


def line(action: str, pid: int | None = 100, **more) -> bytes:
    """Make a line with dotted keys; `__` stands for a dot."""
    fields = {"@timestamp": "2026-11-21T10:00:00.000Z", "event.action": action, "process.pid": pid}
    return orjson.dumps({**fields, **{key.replace("__", "."): value for key, value in more.items()}}) + b"\n"


def test_least_documents() -> None:
    """The documented least is enough: names, the exec, the connection, by the same process."""
    session, call, exec_, connect = read_documents([EXEC, CONNECT])
    assert isinstance(session, Session)
    assert isinstance(call, ToolCall)
    assert (session.id, call.id) == ("s1", "t1")
    assert (exec_.executable, exec_.args) == ("/usr/bin/bash", ("bash", "-c", "id"))
    assert (connect.ip, connect.port, connect.transport, connect.scope) == ("203.0.113.66", 22, "tcp", "external")
    assert (connect.tgid, connect.start_ns) == (exec_.tgid, exec_.start_ns)
    assert connect.time_ns - exec_.time_ns == 10_000_000


def test_descendants_inherit_the_call() -> None:
    """A label on the first process is the label of its descendants."""
    table = Table()
    child = line("exec", 101, process__executable="/usr/bin/id", process__parent__pid=100)
    *_, process = [table.apply(event) for event in read_documents([EXEC, child])]
    assert (process.session.id, process.call.id) == ("s1", "t1")
    assert [ancestor.executable for ancestor in (process, process.parent)] == ["/usr/bin/id", "/usr/bin/bash"]


@pytest.mark.parametrize(
    ("action", "more", "kind"),
    [
        ("fork", {}, Fork),
        ("exec", {}, Exec),
        ("exit", {}, Exit),
        ("end", {}, Exit),
        ("connect", {"destination__ip": "::1"}, Connect),
        ("connection_attempted", {"destination__ip": "::1"}, Connect),
        ("whatever", {"event__category": ["process"], "event__type": ["start"]}, Exec),
        ("whatever", {"event__category": "process", "event__type": "end"}, Exit),
        ("whatever", {"event__category": ["network"], "event__type": ["connection", "start"]}, Connect),
    ],
)
def test_kinds_are_told_by_action_or_category(action: str, more: dict, kind: type) -> None:
    """What happened is told by the action, else by category and type."""
    assert [type(event) for event in read_documents([line(action, **more)])] == [kind]


def test_fork_and_exec_in_one_is_an_exec() -> None:
    """A document that stands for a fork and an exec is read as the exec."""
    document = orjson.dumps({"@timestamp": 0, "event.action": ["fork", "exec"], "process.pid": 1})
    assert [event.kind for event in read_documents([document])] == [Kind.EXEC]


def test_alerts_are_passed_over() -> None:
    """Alerts among the events are not events."""
    assert list(read_documents([b'{"event":{"kind":"alert"},"rule":{}}\n', b"\n", b"  \n"])) == []


def test_other_actions_are_counted() -> None:
    """Documents of other kinds are passed over and counted by action."""
    reader = DocumentReader()
    assert list(reader.read([line("file_created"), line("file_created"), line("x"), b'{"@timestamp":0}\n'])) == []
    assert reader.skipped == {"file_created": 2, "x": 1, "no action": 1}


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"nonsense\n", "line 2: not JSON"),
        (b"[]\n", "line 2: not a JSON object"),
        (b'{"event":{"action":"exec"},"process":{"pid":1}}\n', "line 2: no @timestamp"),
        (b'{"@timestamp":0,"event":{"action":"exec"}}\n', "line 2: no process.pid"),
        (line("connect", destination__ip="1.2.3"), "line 2: destination.ip is no address"),
        (line("exec", process__args=[1]), "line 2: process.args is no list of texts"),
        (line("exit", "x"), "line 2: process.pid is no whole number"),
    ],
)
def test_bad_line_is_named(bad: bytes, problem: str) -> None:
    """A line that cannot be read is an error with its number and what is wrong."""
    with pytest.raises(CaptureError, match=problem):
        list(read_documents([EXEC, bad, CONNECT]))


def test_file_name_is_in_the_error() -> None:
    """The file's name stands before the line's number."""
    with pytest.raises(CaptureError, match=r"^events.jsonl line 1: "):
        list(DocumentReader("events.jsonl").read([b"x\n"]))


def test_cut_off_last_line_is_no_error() -> None:
    """A last line that was being written when its writer died ends the stream; `cut` tells."""
    reader = DocumentReader()
    assert len(list(reader.read([EXEC, CONNECT[:50]]))) == 3
    assert reader.cut


def test_unfinished_line_before_others_is_an_error() -> None:
    """Only the last line may be cut off, also where lines come without their ends."""
    with pytest.raises(CaptureError, match="line 1: not JSON"):
        list(read_documents([EXEC[:50], CONNECT]))


def test_connection_of_an_unknown_process_tells_its_program() -> None:
    """What a connection's document says of a process never met before is taken as found running."""
    seed, connect = read_documents([line("connect", process__executable="/usr/bin/ssh", process__args=["ssh", "h"])])
    assert (seed.kind, seed.executable, seed.args) == (Kind.SEED, "/usr/bin/ssh", ("ssh", "h"))
    assert isinstance(connect, Connect)


def test_command_line_stands_in_for_args() -> None:
    """Without a list of arguments the command line is split at blanks."""
    (event,) = read_documents([line("exec", process__command_line="ssh -R  1:h:2 x")])
    assert event.args == ("ssh", "-R", "1:h:2", "x")


def test_facts_on_an_exec_come_before_it() -> None:
    """Marks of an executable on its exec's document become facts about the file that it runs."""
    facts, exec_ = read_documents([line("exec", auditor__executable__marks=["miner:stratum"])])
    assert isinstance(facts, Executable)
    assert facts.marks == ("miner:stratum",)
    assert (facts.dev, facts.ino, facts.size, facts.ctime_ns) == (exec_.dev, exec_.ino, exec_.size, exec_.ctime_ns)


def test_losses_are_read_but_the_tables_own() -> None:
    """What the kernel lost is read back; what a process table forgot, the replay's own table counts again."""
    losses = [{"what": "ring.exec", "count": 2}, {"what": "lineage.evicted", "count": 9}]
    (event,) = read_documents([line("loss", None, auditor__loss=losses)])
    assert isinstance(event, Loss)
    assert event.counts == (("ring.exec", 2),)


def test_start_sets_the_clock() -> None:
    """After a start, times count from the boot again, as they did live."""
    start, exit_ = read_documents(
        [line("auditor-start", None, auditor__stream__wall_offset_ns=1_795_255_190_000_000_000), line("exit")]
    )
    assert isinstance(start, Start)
    assert start.time_ns == exit_.time_ns == 10_000_000_000


@pytest.mark.parametrize(
    ("code", "signal", "status"), [(0, None, 0), (3, None, 768), (137, 9, 9), (137, None, 137 << 8)]
)
def test_exit_status(code: int, signal: int | None, status: int) -> None:
    """A signal's number makes a status of wait(2); a high exit code alone does not."""
    more = {} if signal is None else {"auditor__exit__signal": signal}
    (event,) = read_documents([line("exit", process__exit_code=code, **more)])
    assert event.status == status


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.text(max_size=8)
    | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pid", "id", "args", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "@timestamp",
        "event",
        "event.action",
        "process",
        "process.pid",
        "process.args",
        "destination.ip",
        "auditor",
        "user.id",
    ]
)


@given(
    st.dictionaries(NAMES, JSON, max_size=6),
    st.sampled_from(["exec", "connect", "fork", "exit", "loss", "gpu-summary"]),
)
def test_odd_documents_are_read_or_refused(fields: dict, action: str) -> None:
    """Any JSON at all gives events, nothing, or a CaptureError, and never another error."""
    document = {"@timestamp": 0, "process.pid": 1, "event.action": action, **fields}
    try:
        events = list(read_documents([orjson.dumps(document) + b"\n"]))
    except CaptureError:
        return
    table = Table()
    for event in events:
        table.apply(event)
    assert len(table) <= 2

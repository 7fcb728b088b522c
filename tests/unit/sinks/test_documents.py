"""Events and alerts as ECS documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from auditor.decode.ecs import read_documents
from auditor.lineage.table import Table
from auditor.model.events import Event, Executable
from auditor.model.records import Flag, Kind
from auditor.sinks import ecs
from auditor.sinks.documents import Documents
from auditor.sinks.fields import FIELDS
from tests.builders import (
    SECOND,
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
from tests.unit.sinks.test_alert_document import make_alert

ODD = make_exec(
    101,
    ("\x1b]0;x\x07", "", "ü", 'quote"\\'),
    flags=Flag.MEMFD | Flag.DELETED | Flag.ARGV_TRUNCATED,
    call=100,
    parent_tgid=100,
    comm="odd",
    tty="pts0",
    egid=0,
    euid=0,
)
EVENTS = [
    make_start(),
    make_session(),
    make_exec(99, ("agent",), flags=Flag.AGENT, call=0, parent_tgid=0),
    make_tool_call(),
    make_fork(100, 99, flags=Flag.CALL_ROOT),
    make_exec(flags=Flag.CALL_ROOT),
    make_fork(101, 100, call=100),
    make_executable(ODD, marks=("packer:upx",), static=True),
    ODD,
    make_exec(102, kind=Kind.SEED, call=100, start_ns=1_020_000_000),
    make_connect(101, call=100),
    make_connect(101, ip="2001:db8::1", transport="udp", kind=Kind.SEND, call=100),
    make_gpu_open(101, call=100),
    make_gpu_use(101, call=100, result=-1),
    make_gpu_summary(101, call=100),
    make_loss(),
    make_tick(cpu_ns=5, tracked=3),
    make_exit(101, call=100, status=9),
    make_exit(100),
    make_end(),
]


def render(events: list[Event]) -> list[bytes]:
    """Render events as a run would."""
    table, documents, lines = Table(), Documents(), []
    for event in events:
        process = table.apply(event)
        if isinstance(event, Executable):
            table.late(event)
        lines.append(documents.event(event, process))
    return lines


def flat(value: object, prefix: str = "") -> Iterator[str]:
    """List a document's fields in dotted form; the objects of a list count as one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from flat(inner, prefix)
    else:
        yield prefix


def test_every_kind_is_valid_json_on_one_line() -> None:
    """Each kind of event is one line of JSON, opened by its time, with its action."""
    lines = render(EVENTS)
    for event, line in zip(EVENTS, lines, strict=True):
        document = orjson.loads(line)
        assert b"\n" not in line
        assert line.startswith(b'{"@timestamp":"2026-11-21T10:00:0')
        assert document["event"]["action"] == ecs.ACTIONS[event.kind]
        assert document["ecs"] == {"version": ecs.ECS_VERSION}
        assert document["host"]["hostname"] == "node-1"
    assert {event.kind for event in EVENTS} == set(ecs.ACTIONS)


def test_no_key_stands_twice() -> None:
    """Documents are joined from pieces, and no piece repeats another's keys."""
    for line in render(EVENTS):
        assert orjson.dumps(orjson.loads(line)) == line


def test_documents_are_read_back_to_the_same() -> None:
    """Read back and rendered again, a stream is the same down to the byte."""
    lines = render(EVENTS)
    assert render(list(read_documents(lines))) == lines


def test_every_field_is_listed() -> None:
    """The table of fields holds each field that is written, and none that is not."""
    documents = [orjson.loads(line) for line in render(EVENTS)]
    documents += [orjson.loads(Documents().alert(alert)) for alert in (make_alert(), make_alert(losses=(("x", 1),)))]
    written = {name for document in documents for name in flat(document)}
    assert sorted(written - set(FIELDS)) == []
    assert sorted(set(FIELDS) - written) == []


def test_documentation_has_the_same_table(root: Path) -> None:
    """docs/events.md lists each field with the same meaning."""
    rows = re.findall(r"^\| `([\w@.]+)` \| (.*) \|$", (root / "docs" / "events.md").read_text(), re.MULTILINE)
    assert {name: meaning for name, meaning in rows if name in FIELDS} == FIELDS


def test_environment_is_not_written() -> None:
    """The environment may hold secrets, and is not in the stream."""
    (line,) = render([make_exec(env=("AWS_SECRET_ACCESS_KEY=hunter2",))])
    assert b"hunter2" not in line
    assert b"AWS_SECRET" not in line


def test_times_are_exact() -> None:
    """A time is to the nanosecond, over the second's edge and back."""
    documents, table = Documents(), Table()
    documents.begin(make_start(wall_offset_ns=0))
    shown = []
    for time_ns in (SECOND - 1, SECOND, 5 * SECOND + 7, SECOND - 1):
        event = make_connect(time_ns=time_ns)
        shown.append(orjson.loads(documents.event(event, table.apply(event)))["@timestamp"][11:])
    assert shown == ["00:00:00.999999999Z", "00:00:01.000000000Z", "00:00:05.000000007Z", "00:00:00.999999999Z"]


@pytest.mark.parametrize("offset", [-(1 << 62), 1 << 72])
def test_impossible_times_are_written(offset: int) -> None:
    """A stream whose clock makes no sense still gives valid lines."""
    documents = Documents()
    documents.begin(make_start(wall_offset_ns=offset))
    assert orjson.loads(documents.event(make_tick(), None))["@timestamp"].startswith("1")


def test_process_is_rendered_once() -> None:
    """The second event of a process is not rendered anew, and is the same but for its own."""
    documents, table = Documents(), Table()
    first, second = make_connect(port=1), make_connect(port=2)
    lines = [documents.event(event, table.apply(event)) for event in (first, second)]
    assert lines[0].replace(b'"port":1', b'"port":2') == lines[1]


def test_odd_addresses_are_escaped() -> None:
    """An address that other programs' documents gave, with a zone of any text, cannot break a line."""
    documents, table = Documents(), Table()
    for ip in ('fe80::1%"},', ""):
        event = make_connect(ip="::1", port=0)._replace(ip=ip)
        document = orjson.loads(documents.event(event, table.apply(event)))
        assert document["destination"] == ({"ip": ip, "port": 0} if ip else {"port": 0})


def test_many_endpoints_and_sessions() -> None:
    """More endpoints and sessions than the caches hold are all rendered right."""
    documents, table = Documents(), Table()
    for number in range(9000):
        event = make_connect(ip=f"10.1.{number // 256}.{number % 256}", port=number)
        assert orjson.loads(documents.event(event, table.apply(event)))["destination"]["port"] == number
    for number in range(1, 1500):
        documents.event(make_session(session=number, id=f"s{number}"), None)
    assert orjson.loads(documents.event(make_tool_call(session=1499), None))["auditor"]["session"] == {"id": "s1499"}
    assert "session" not in orjson.loads(documents.event(make_tool_call(session=1), None))["auditor"]

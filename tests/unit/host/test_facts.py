"""What the two sides of the facts worker say to each other."""

from auditor.decode.wire import decode
from auditor.host.facts import blank, record, request
from auditor.model.events import Executable
from auditor.model.records import Kind

IDENTITY = {"dev": 8 << 20 | 1, "ino": 2**63, "size": 35_664, "ctime_ns": -1, "tgid": 4_194_303}


def test_record_reads_back_as_asked() -> None:
    """The record carries the request's identity, task and time, and the facts as given."""
    message = request(7, **IDENTITY, start_ns=10, time_ns=20)
    facts = blank("ok") | {"libraries": ["libc.so.6"], "marks": ["miner:stratum"], "static": True, "language": "c"}
    (event,) = decode(record(message, facts))
    assert isinstance(event, Executable)
    assert (event.kind, event.tgid, event.start_ns, event.time_ns) == (Kind.EXECUTABLE, 4_194_303, 10, 20)
    assert {key: getattr(event, key) for key in IDENTITY} == IDENTITY
    assert (event.libraries, event.marks, event.static) == (("libc.so.6",), ("miner:stratum",), True)


def test_blank_has_every_field() -> None:
    """Facts that say nothing have every field that an Executable has."""
    fields = Executable._fields
    assert tuple(blank("timeout")) == fields[fields.index("status") :]

"""The gate that holds the stream back until facts about an executable are there."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import Any

import pytest

from auditor.decode.wire import decode
from auditor.host.inodes import inode_at
from auditor.live.facts import BUDGET_NS, KNOWN_FILES, PATIENCE_NS, FactsGate
from auditor.model.events import Event, Exec, Executable
from auditor.model.records import FRAME, FRAME_SIZE, Kind
from tests.builders import make_connect, make_exec, make_executable, wire

OWN = inode_at("/proc/self/exe")


@dataclass
class Worker:
    """Answers when it is told to; looks into no file."""

    room: int = 1000
    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)

    def fileno(self) -> int:
        """Nothing waits for it here."""
        return -1

    def request(self, fd: int, **identity: Any) -> int | None:
        """Take a request, if there is room."""
        assert os.fstat(fd).st_size == OWN.size
        if len(self.asked) >= self.room:
            return None
        self.asked.append(identity)
        return len(self.asked)

    def receive(self) -> list[tuple[int, bytes]]:
        """Hand the answers over."""
        taken, self.answers = self.answers, []
        return taken

    def answer(self, number: int) -> None:
        """Have the answer to a request ready."""
        asked = self.asked[number - 1]
        self.answers.append((number, wire(make_executable(ino=asked["ino"], size=asked["size"]))))


class Scene:
    """A gate with everything around it."""

    def __init__(self, room: int = 1000) -> None:
        self.worker = Worker(room)
        self.passed: list[bytes] = []
        self.now = 1_000_000_000_000
        self.gate = FactsGate(self.worker, self.passed.append, lambda: self.now)  # type: ignore[arg-type]

    def put(self, *events: Event) -> None:
        """Put these events as one block."""
        block, at, execs = wire(*events), 0, []
        for event in events:
            if event.kind in {Kind.EXEC, Kind.SEED}:
                execs.append(at)
            at += FRAME_SIZE + (FRAME.unpack_from(block, at)[0] + 7 & ~7)
        assert at == len(block)
        self.gate.put(block, execs)

    def told(self) -> list[tuple[str, int]]:
        """List what has passed: kind of event, and the file's inode or the port."""
        events = [event for block in self.passed for event in decode(block)]
        return [
            (type(event).__name__, event.ino if isinstance(event, Exec | Executable) else event.port)  # type: ignore[union-attr]
            for event in events
        ]


def exec_of(ino: int, **fields: Any) -> Exec:
    """Make an exec, by this very process, of what it really runs, as if that had this inode number."""
    same = {"size": OWN.size, "ctime_ns": OWN.ctime_ns, "mtime_ns": OWN.mtime_ns, "dev": OWN.dev}
    return make_exec(os.getpid(), executable="/usr/bin/this", ino=ino, **{**same, **fields})


def test_facts_come_before_their_exec() -> None:
    """What came before passes at once; the exec and all behind it wait; then the facts go first."""
    scene = Scene()
    scene.put(make_connect(port=1), exec_of(7), make_connect(port=2))
    scene.put(make_connect(port=3))
    assert scene.told() == [("Connect", 1)]
    assert scene.gate.holding
    scene.worker.answer(1)
    scene.gate.poll()
    assert scene.told() == [("Connect", 1), ("Executable", 7), ("Exec", 7), ("Connect", 2), ("Connect", 3)]
    assert not scene.gate.holding


def test_request_names_file_process_and_time() -> None:
    """The worker is given the file's identity as the exec has it, and whose exec it was, when."""
    scene = Scene()
    event = exec_of(7)
    scene.put(event)
    (asked,) = scene.worker.asked
    assert asked == {
        name: getattr(event, name) for name in ("dev", "ino", "size", "ctime_ns", "tgid", "start_ns", "time_ns")
    }


def test_block_without_execs_passes_as_it_is() -> None:
    """Nothing is copied or split where there is nothing to ask."""
    scene = Scene()
    scene.put(make_connect(port=1), make_connect(port=2))
    assert [len(decode(block)) for block in scene.passed] == [2]


def test_known_file_is_not_asked_again() -> None:
    """A file is asked about once, unless one of what identifies it changes."""
    scene = Scene()
    scene.put(exec_of(7), exec_of(7))
    scene.worker.answer(1)
    scene.gate.poll()
    scene.put(exec_of(7))
    assert len(scene.worker.asked) == 1
    assert scene.told() == [("Executable", 7), ("Exec", 7), ("Exec", 7), ("Exec", 7)]
    scene.put(exec_of(7, dev=OWN.dev + 1))
    assert len(scene.worker.asked) == 2


def test_answers_out_of_order() -> None:
    """Two files of one block are waited for both; each one's facts stand right before its first exec."""
    scene = Scene()
    scene.put(exec_of(7), exec_of(8), make_connect(port=1))
    scene.worker.answer(2)
    scene.gate.poll()
    assert scene.told() == []
    scene.worker.answer(1)
    scene.gate.poll()
    expected = [("Executable", 7), ("Exec", 7), ("Executable", 8), ("Exec", 8), ("Connect", 1)]
    assert scene.told() == expected


def test_patience_ends() -> None:
    """An exec waits no longer than it may; facts that come later still come, as a record of their own."""
    scene = Scene()
    scene.put(exec_of(7), make_connect(port=1))
    scene.now += PATIENCE_NS - 1
    scene.gate.poll()
    assert scene.told() == []
    scene.now += 1
    scene.gate.poll()
    assert scene.told() == [("Exec", 7), ("Connect", 1)]
    scene.put(make_connect(port=2))
    scene.worker.answer(1)
    scene.gate.poll()
    assert scene.told()[2:] == [("Connect", 2), ("Executable", 7)]


def test_budget_is_spent_once_a_second() -> None:
    """A worker that never answers holds the stream for a second's budget; then nobody waits, which is counted."""
    scene = Scene()
    start = scene.now
    for ino in range(1, 8):
        scene.put(exec_of(ino))
        while scene.gate.holding:
            scene.now += PATIENCE_NS // 4
            scene.gate.poll()
    assert len(scene.told()) == 7
    assert BUDGET_NS <= scene.now - start < BUDGET_NS + PATIENCE_NS
    assert scene.gate.late == 7 - -(-BUDGET_NS // PATIENCE_NS)
    assert len(scene.worker.asked) == 7  # asked about all the same
    scene.now += 1_000_000_000
    scene.put(exec_of(8))
    assert scene.gate.holding


def test_late_facts_of_what_nobody_waited_for() -> None:
    """Facts that came for an exec that had passed without waiting stand where they came."""
    scene = Scene()
    for ino in range(1, 7):
        scene.put(exec_of(ino))
        scene.now += PATIENCE_NS
        scene.gate.poll()
    assert scene.gate.late == 1
    scene.worker.answer(6)
    scene.gate.poll()
    assert scene.told()[-1] == ("Executable", 6)


def test_refused_request_is_counted_and_asked_again() -> None:
    """Where the worker cannot take a file on, its exec passes at once, and its next exec asks again."""
    scene = Scene(room=0)
    scene.put(exec_of(7))
    assert (scene.told(), scene.gate.refused) == ([("Exec", 7)], 1)
    scene.worker.room = 1
    scene.put(exec_of(7))
    assert len(scene.worker.asked) == 1


def test_file_that_cannot_be_found_is_not_waited_for() -> None:
    """Where the process is gone, and its file with it, there is nothing to ask and nothing to wait for."""
    scene = Scene()
    scene.put(exec_of(7, size=OWN.size + 1))
    assert (scene.told(), scene.worker.asked) == ([("Exec", 7)], [])


def test_drain_waits_for_what_is_to_come() -> None:
    """At the end everything is passed on, with the facts of those that come in time."""
    scene = Scene()
    scene.put(exec_of(7), exec_of(8))
    scene.worker.answer(1)
    waits: list[int] = []

    def wait(ns: int) -> None:
        waits.append(ns)
        scene.now += ns

    scene.gate.drain(wait)
    assert scene.told() == [("Executable", 7), ("Exec", 7), ("Exec", 8)]
    assert sum(waits) == PATIENCE_NS


def test_memory_of_files_is_bounded() -> None:
    """The file that was not seen for longest is forgotten first, and asked about again."""
    scene = Scene(room=2 * KNOWN_FILES)
    for ino in range(KNOWN_FILES + 1):
        scene.put(exec_of(ino))
        scene.worker.answer(len(scene.worker.asked))
        scene.gate.poll()
        scene.put(exec_of(1))
    asked = len(scene.worker.asked)
    scene.put(exec_of(1))
    assert len(scene.worker.asked) == asked
    scene.put(exec_of(0))
    assert len(scene.worker.asked) == asked + 1


@pytest.mark.parametrize("path", ["/usr/bin/x", "/x", "/a b/\udcff"])
def test_path_is_put_together(path: str) -> None:
    """The path of an exec record, kept from its leaf up, is that of the event."""
    from auditor.live.facts import _path  # noqa: PLC0415 - the only test of it

    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    block = wire(make_exec(100, executable=text))
    assert struct.unpack_from("<I", block)[0] < len(block)
    assert _path(block, 0).decode() == text

"""What does not fit is counted: what was told and what was lost add up to what was done."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from auditor import assets
from auditor.errors import HostError
from auditor.kernel.catalog import LIMITS
from auditor.kernel.loader import Loader
from auditor.kernel.probes import Label, Probes
from auditor.model.events import Connect, Event, Exec, Exit, Fork
from auditor.model.records import Kind, LabelSource
from tests.kernel.watching import Watch, become, fork, wait

SMALL = {**LIMITS, "RING_PAGES": 16, "LABELS": 64}
RING_BYTES = SMALL["RING_PAGES"] * 4096
RECORD_BYTES = 88
"""Of a connection, with its frame."""
LOOPBACK = "127.0.0.1"
TRUE = "/bin/true"


@pytest.fixture(scope="module")
def small(cgroup_root: int) -> Iterator[Probes]:
    """Give probes with a ring of 64 KiB and room for 64 labels."""
    loaded = Loader(assets.probes(), SMALL).finish()
    probes = Probes(loaded, cgroup_root, SMALL)
    yield probes
    probes.close()
    for fd in (*loaded.programs.values(), *loaded.maps.values()):
        os.close(fd)


@pytest.fixture
def watch(small: Probes) -> Iterator[Watch]:
    """Give a session of the test's own, on the small probes, with an empty ring."""
    own = Watch(small)
    own.settle()
    own.events.clear()
    own.others.clear()
    yield own
    own.close()


def lost_by(watch: Watch, act: Callable[[], object]) -> Counter[str]:
    """Do something while nobody reads; give what was lost by it. What is in the ring is then in the events."""
    before = Counter(watch.probes.losses())
    pid = watch.call(act)
    assert watch.reap(pid) == 0
    lost = Counter(watch.probes.losses()) - before
    while watch.read():
        pass
    return lost


def told(watch: Watch, kind: type[Event]) -> int:
    """Count the records of one type."""
    return len(watch.of(watch.events, kind))


def connect_often(times: int) -> None:
    """Connect one datagram socket over and over, to one port after the other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(times):
            sock.connect((LOOPBACK, 1 + number % 65_535))


def test_connections_add_up(watch: Watch) -> None:
    """Of 2,000 connections into a ring that holds some 740, each is told or counted; the first ones are told."""
    lost = lost_by(watch, lambda: connect_often(2_000))
    ports = [event.port for event in watch.connects()]
    assert ports == list(range(1, len(ports) + 1))
    assert 700 < len(ports) < RING_BYTES // RECORD_BYTES
    assert len(ports) + lost["ring.connect"] == 2_000


def test_datagrams_add_up(watch: Watch) -> None:
    """Datagrams to ever new ports are told or counted."""

    def act() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number in range(1_500):
                sock.sendto(b"", (LOOPBACK, 1 + number))

    lost = lost_by(watch, act)
    assert told(watch, Connect) + lost["ring.send"] == 1_500
    assert {event.kind for event in watch.connects()} == {Kind.SEND}
    assert lost["ring.send"] > 0


def test_processes_add_up(watch: Watch) -> None:
    """Of 300 programs run one after the other, each fork, exec and exit is told or counted."""

    def act() -> None:
        connect_often(720)  # nearly fills the ring
        for _ in range(300):
            wait(os.posix_spawn(TRUE, ["true", "x" * 500], {}))

    lost = lost_by(watch, act)
    assert told(watch, Fork) + lost["ring.fork"] == 301
    assert told(watch, Exec) + lost["ring.exec"] == 300
    assert told(watch, Exit) + lost["ring.exit"] == 301
    assert min(lost["ring.fork"], lost["ring.exec"], lost["ring.exit"]) > 0


def test_ring_recovers(watch: Watch) -> None:
    """Once it is read, a ring that was full tells everything again."""
    assert lost_by(watch, lambda: connect_often(1_000))["ring.connect"] > 0
    watch.events.clear()
    assert not lost_by(watch, lambda: connect_often(100))
    assert [event.port for event in watch.connects()] == list(range(1, 101))


def test_labels_run_out(watch: Watch) -> None:
    """Where no label is left, each fork beyond that is counted, and told; when processes end there is room again."""
    release, hold = os.pipe()

    def act() -> None:
        os.close(hold)
        children = [fork(lambda: os.read(release, 1)) for _ in range(100)]
        os.read(release, 1)
        for child in children:
            wait(child)

    taken = sum(1 for _ in watch.probes.labels())
    before = watch.probes.losses().get("label.full", 0)
    pid = watch.call(act)
    watch.until(lambda _: len(watch.forks()) == 101)
    labelled = {tgid for tgid, _ in watch.probes.labels()}
    full = watch.probes.losses().get("label.full", 0) - before
    assert len(labelled) == SMALL["LABELS"]
    assert full == 101 + taken - len(labelled)
    assert all((event.call_tgid, event.session) == (pid, watch.session) for event in watch.forks())
    with pytest.raises(HostError, match=f"{SMALL['LABELS']} processes"):
        watch.probes.set_label(1, Label(0, 0, 0, watch.session, LabelSource.SEEDED, 0))

    os.close(hold)
    os.close(release)
    watch.finish(pid)
    ended = {event.tgid for event in watch.of(watch.events, Exit)}
    assert ended == labelled & {event.tgid for event in watch.forks()}
    assert sum(1 for _ in watch.probes.labels()) == taken
    again = watch.call(lambda: become([TRUE]))
    watch.finish(again)
    assert [type(event) for event in watch.events if event.tgid == again] == [Fork, Exec, Exit]


def test_laps_keep_every_record(watch: Watch) -> None:
    """Over 30 laps of the ring, records of all sizes come whole and in order, wherever they cross its end."""
    go, gone = os.pipe(), os.pipe()
    rounds, each = 150, 150

    def act() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for turn in range(rounds):
                wait(os.posix_spawn(TRUE, ["true", str(turn), "x" * (37 * turn % 4000)], {"TURN": str(turn)}))
                for number in range(each):
                    sock.connect((LOOPBACK, 1 + turn * each + number))
                os.write(gone[1], b"!")
                os.read(go[0], 1)

    with ExitStack() as stack:
        for fd in (*go, *gone):
            stack.callback(os.close, fd)
        before = watch.probes.losses()
        pid = watch.call(act)
        taken = 0
        for _ in range(rounds):
            os.read(gone[0], 1)
            taken += watch.probes.ring.pending()
            while watch.read():
                pass
            os.write(go[1], b"!")
        watch.finish(pid)
    assert taken > 30 * RING_BYTES
    assert watch.probes.losses() == before
    assert [event.port for event in watch.connects()] == list(range(1, 1 + rounds * each))
    assert [(event.args, event.env) for event in watch.execs()] == [
        (("true", str(turn), "x" * (37 * turn % 4000)), (f"TURN={turn}",)) for turn in range(rounds)
    ]
    assert (told(watch, Fork), told(watch, Exit)) == (rounds + 1, rounds + 1)
    assert watch.others == []


def test_labels_of_one_load_are_unknown_to_another(watch: Watch, probes: Probes) -> None:
    """Two loads of the probes, as two auditors on one host are, know nothing of each other's sessions."""
    other = Watch(probes)
    pid = other.call(lambda: become([TRUE]))
    other.finish(pid)
    watch.settle()
    assert [event for event in watch.events + watch.others if event.tgid == pid] == []
    assert other.of(other.events, Exec, pid)

"""The tally: counters, rates between ticks, and alerts."""

import dataclasses
import threading

import pytest

from auditor.sinks.tally import MAX_LOSS_KINDS, Tally
from tests.builders import (
    SECOND,
    make_connect,
    make_end,
    make_exec,
    make_exit,
    make_loss,
    make_session,
    make_start,
    make_tick,
)
from tests.unit.view.scene import TUNNEL, connect, make_alert, make_call, make_process


@pytest.fixture
def tally():
    """Give a tally whose stream has begun at 1 s."""
    tally = Tally()
    tally.event(make_start(SECOND), None)
    return tally


def feed(tally, number, time_ns=SECOND):
    """Feed a number of connects."""
    for _ in range(number):
        tally.event(make_connect(time_ns=time_ns), None)


def test_an_empty_tally_has_a_snapshot():
    """Before the first event there is something to draw."""
    assert Tally().snapshot().events == 0


def test_events_are_what_processes_did(tally):
    """Connections count, ticks and session names do not."""
    feed(tally, 3)
    tally.event(make_session(), None)
    tally.event(make_tick(2 * SECOND), None)
    snapshot = tally.snapshot()
    assert snapshot.events == 3
    assert snapshot.sessions == 1


def test_the_rate_is_between_two_ticks(tally):
    """Events a second come from the stream's own times."""
    feed(tally, 30)
    tally.event(make_tick(3 * SECOND), None)
    feed(tally, 50)
    tally.event(make_tick(4 * SECOND), None)
    assert tally.snapshot().rates == (15.0, 50.0)


def test_ticks_that_come_fast_are_joined(tally):
    """A rate is taken over half a second at least."""
    for tenth in range(1, 11):
        feed(tally, 1)
        tally.event(make_tick(SECOND + tenth * SECOND // 10), None)
    assert tally.snapshot().rates == (10.0, 10.0)


def test_a_minute_of_rates_is_kept(tally):
    """The history does not grow for ever."""
    for second in range(2, 100):
        tally.event(make_tick(second * SECOND), None)
    assert len(tally.snapshot().rates) == 60


def test_cpu_and_tracked_come_from_ticks(tally):
    """The auditor's share of a CPU is what it used between two ticks."""
    tally.event(make_tick(2 * SECOND, cpu_ns=500_000_000, tracked=3), None)
    assert tally.snapshot().cpu is None
    tally.event(make_tick(4 * SECOND, cpu_ns=540_000_000, tracked=7), None)
    snapshot = tally.snapshot()
    assert snapshot.cpu == pytest.approx(0.02)
    assert snapshot.tracked == 7


def test_losses_add_up_by_what_was_lost(tally):
    """Every loss record adds to what it names, and the most lost stands first."""
    tally.event(make_loss(ring_exec=2), None)
    tally.event(make_loss(ring_exec=3, ring_connect=100), None)
    assert tally.snapshot().losses == (("ring.connect", 100), ("ring.exec", 5))


def test_kinds_of_loss_are_bounded(tally):
    """A stream that invents kinds of loss fills one entry, and no loss goes uncounted."""
    for number in range(MAX_LOSS_KINDS * 2):
        tally.event(make_loss(**{f"made_up{number}": 1}), None)
    losses = dict(tally.snapshot().losses)
    assert len(losses) == MAX_LOSS_KINDS + 1
    assert sum(losses.values()) == MAX_LOSS_KINDS * 2


def test_tool_calls_are_counted_once(tally):
    """A call's first process may run many programs; it is one call. Its descendants are none."""
    first = make_call(tgid=100)
    child = make_process(101, parent=first)
    for process in (first, first, child):
        tally.event(make_exec(process.task.tgid), process)
    tally.event(make_exit(100), first)
    second = make_call("t2", tgid=102)
    tally.event(make_exec(102), second)
    assert tally.snapshot().calls == 2


def test_the_end_is_told(tally):
    """The snapshot says why a stream ended."""
    assert tally.snapshot().ended is None
    tally.event(make_end(reason="interrupted"), None)
    assert tally.snapshot().ended == "interrupted"


def test_now_is_the_latest_event(tally):
    """Time is the stream's, so ages are right in a replay."""
    feed(tally, 1, time_ns=30 * SECOND)
    snapshot = tally.snapshot()
    assert snapshot.now_ns == 30 * SECOND
    assert snapshot.host == "node-1"


def test_a_snapshot_is_frozen(tally):
    """What was handed out does not change when more comes in, and cannot be changed."""
    process = make_call()
    tally.alert(make_alert(TUNNEL, process, connect(process)))
    before = tally.snapshot()
    tally.alert(make_alert(TUNNEL, process, connect(process)))
    assert (before.alerts, before.rows[0].count) == (1, 1)
    assert tally.snapshot().rows[0].count == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.events = 7


def test_snapshots_may_be_taken_by_another_thread(tally):
    """While one thread feeds, another one sees whole snapshots, with events that only grow."""
    seen, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            seen.append(tally.snapshot())

    watcher = threading.Thread(target=look)
    watcher.start()
    for number in range(300):
        process = make_call(f"t{number}", tgid=1000 + number)
        tally.event(make_exec(process.task.tgid), process)
        tally.event(make_loss(ring_exec=1), None)
        tally.alert(make_alert(TUNNEL, process, connect(process), time=float(number)))
    stop.set()
    watcher.join()
    assert [snapshot.events for snapshot in seen] == sorted(snapshot.events for snapshot in seen)
    assert tally.snapshot().alerts == 300

"""The worker as a process: what it answers, what it may do, and that neither its death nor its silence matters."""

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.decode.wire import decode
from auditor.host import facts_worker
from auditor.host.facts_worker import RESTARTS, WAITING_LIMIT, FactsWorker
from auditor.model.events import Executable
from tests.unit.host.binaries import make_elf, opened

NOBODY = 65534
PATIENCE_MS = 20_000
IDENTITY = {"dev": 1, "ino": 2, "size": 3, "ctime_ns": 4, "tgid": 5, "start_ns": 6, "time_ns": 7}


def account() -> tuple[int, int]:
    """Give the ids that a worker can take here."""
    return (NOBODY, NOBODY) if os.geteuid() == 0 else (os.getuid(), os.getgid())


@pytest.fixture
def worker() -> Iterator[FactsWorker]:
    """Run a worker."""
    running = FactsWorker(*account())
    yield running
    running.close()


def answers(worker: FactsWorker, count: int) -> dict[int, Executable]:
    """Wait for that many answers."""
    poll = select.poll()
    poll.register(worker, select.POLLIN)
    found: dict[int, Executable] = {}
    while len(found) < count:
        assert poll.poll(PATIENCE_MS), "no answer"
        for number, frame in worker.receive():
            (event,) = decode(frame)
            assert isinstance(event, Executable)
            assert number not in found
            found[number] = event
    return found


def test_facts_are_told(worker: FactsWorker) -> None:
    """A request is answered by its number, with the facts of the open file."""
    with opened(make_elf(b"mining.subscribe mining.authorize")) as fd:
        number = worker.request(fd, **IDENTITY)
        assert number is not None
        event = answers(worker, 1)[number]
    assert (event.status, event.marks, event.libraries) == ("ok", ("miner:stratum",), ("libc.so.6",))
    assert (event.tgid, event.start_ns, event.time_ns, event.ino) == (5, 6, 7, 2)


def test_worker_has_no_rights(worker: FactsWorker) -> None:
    """The worker runs under an ordinary uid, without capabilities, without a way to get any, with tight limits."""
    with opened(b"") as fd:
        worker.request(fd, **IDENTITY)
        answers(worker, 1)
    process = Path(f"/proc/{worker.pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(account()[0])] * 4
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    limits = (process / "limits").read_text()
    assert {line.split()[-3] for line in limits.splitlines() if "core file" in line or "Max file size" in line} == {"0"}


def test_worker_holds_nothing_of_its_parent(worker: FactsWorker) -> None:
    """Of all that the parent had open the worker keeps its own socket."""
    if os.geteuid() != 0:
        pytest.skip("needs root to look at a process that cannot be dumped")
    with opened(b"") as fd:
        worker.request(fd, **IDENTITY)
        answers(worker, 1)
    links = [str(path.readlink()) for path in Path(f"/proc/{worker.pid}/fd").iterdir()]
    assert sorted(links)[:3] == ["/dev/null"] * 3
    assert [link.split(":")[0] for link in sorted(links)[3:]] == ["socket"]


def test_killed_worker_is_replaced(worker: FactsWorker) -> None:
    """The file that a worker died over is answered as crashed; those behind it are answered by the next worker."""
    os.kill(worker.pid, signal.SIGSTOP)
    first = worker.pid
    with opened(make_elf()) as fd:
        numbers = [worker.request(fd, **IDENTITY) for _ in range(3)]
        os.kill(first, signal.SIGKILL)
        found = answers(worker, 3)
    assert [found[number].status for number in numbers if number] == ["crashed", "ok", "ok"]
    assert worker.pid not in {0, first}


def test_hanging_worker_is_replaced() -> None:
    """A worker that says nothing for too long is killed, and its file answered as timeout."""
    worker = FactsWorker(*account(), hang_ns=0)
    try:
        os.kill(worker.pid, signal.SIGSTOP)
        with opened(make_elf()) as fd:
            number = worker.request(fd, **IDENTITY)
            (answer,) = worker.receive()
    finally:
        worker.close()
    assert answer[0] == number
    assert decode(answer[1])[0].status == "timeout"


def test_requests_are_bounded(worker: FactsWorker) -> None:
    """Past the limit a request is refused, and holds nothing open."""
    os.kill(worker.pid, signal.SIGSTOP)
    with opened(make_elf()) as fd:
        accepted = [worker.request(fd, **IDENTITY) for _ in range(WAITING_LIMIT + 5)]
        assert accepted[-5:] == [None] * 5
        os.kill(worker.pid, signal.SIGCONT)
        assert len(answers(worker, len([number for number in accepted if number]))) <= WAITING_LIMIT


def test_restarts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that keeps dying is not started for ever: requests are refused then."""
    monkeypatch.setattr(facts_worker, "_be_worker", lambda *_: os._exit(1))
    worker = FactsWorker(*account())
    poll = select.poll()
    poll.register(worker, select.POLLIN)
    started = {worker.pid}
    with opened(make_elf()) as fd:
        while worker.pid:
            assert poll.poll(PATIENCE_MS), "nobody noticed the death"
            worker.receive()
            assert worker.pid == 0
            worker.request(fd, **IDENTITY)
            started |= {worker.pid} - {0}
        assert worker.request(fd, **IDENTITY) is None
    assert len(started) == RESTARTS
    worker.close()


@pytest.mark.parametrize("reply", [b"", b"short", bytes(200)])
def test_nonsense_from_the_worker_is_its_end(worker: FactsWorker, reply: bytes) -> None:
    """A worker that answers anything but what was asked is no longer trusted, and replaced."""
    message = facts_worker.request(1, **IDENTITY)
    good = facts_worker.record(message, facts_worker.blank("ok"))
    forged = facts_worker.record(facts_worker.request(1, **(IDENTITY | {"tgid": 1})), facts_worker.blank("ok"))
    assert facts_worker._answers(message, good)
    assert not facts_worker._answers(message, forged)
    assert not facts_worker._answers(message, good + b"\0" * 8)
    assert worker._take(reply, []) is False


def test_closing_ends_the_process() -> None:
    """After closing there is no worker left, not even a dead one."""
    worker = FactsWorker(*account())
    pid = worker.pid
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

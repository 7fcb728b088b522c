"""What watching costs those who are watched, and those who are not: CPU time of loads, with a tracer and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.agent import Agent, Work
from tests.bench.auditor import Auditor
from tests.bench.figures import Spread, ratios
from tests.bench.peers import Audit, bpftrace
from tests.bench.toolkit import Toolkit, find, report

CONTROL = "no tracing, again"
UNTRACKED = "auditor, load not watched"
TRACKED = "auditor, load watched"
AUDITD = "auditd"
BPFTRACE = "bpftrace"

_NEVER = 1 << 62
_RING_FULL = 50_000
"""UDP connects that the auditor's ring holds, with room to spare. What finds the ring full costs the load less, and the
ratio would flatter."""

Block = dict[str, Work]
Tracer = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """A block of loads in a round, and the block of the same round that it is compared with."""

    name: str
    tracer: Tracer = nullcontext
    against: str = ""


def measure(toolkit: Toolkit, *, rounds: int, peer_rounds: int, length: float) -> dict[str, Any]:
    """Run the loads by turns with each tracer and without.

    `length` stretches a block: 1 is about two seconds. A block stands next to the one it is compared with, and every
    other round runs backwards, so that neither drift nor order counts. No tracing is measured twice in a round, as far
    apart as it gets: that comparison tells the noise.
    """
    loads = _loads(toolkit, length)
    pairs: dict[str, list[tuple[Block, Block]]] = {}
    plain: list[Block] = []
    connects: Counter[str] = Counter()
    with ExitStack() as stack:
        audit = stack.enter_context(Audit())
        agent = stack.enter_context(Agent(toolkit, cpu=toolkit.load_cpu))
        bystander = stack.enter_context(Agent(toolkit))

        @contextmanager
        def watching() -> Iterator[None]:
            with Auditor(toolkit, agent.pid, cpu=toolkit.tracer_cpu) as auditor:
                yield
            connects["delivered"] += auditor.stream.events["connect"]
            connects["lost"] += auditor.stream.lost["ring.connect"]

        own = [
            Step("before"),
            Step(UNTRACKED, lambda: Auditor(toolkit, bystander.pid, cpu=toolkit.tracer_cpu), "before"),
            Step(TRACKED, watching, CONTROL),
            Step(CONTROL, against="before"),
        ]
        peers, absent = _peers(toolkit, audit)
        for number in range(rounds):
            _run_round(agent, loads, own, pairs, plain, backwards=number % 2 == 1)
            if peers and number < peer_rounds:
                _run_round(agent, loads, peers, pairs, plain, backwards=number % 2 == 1)
            report(f"overhead: round {number + 1} of {rounds}")
    return {
        "plain_ns": {name: asdict(Spread.of(_cpu_ns(block[name]) for block in plain)) for name in loads},
        "ratios": {name: {load: _compare(found, load) for load in loads} for name, found in pairs.items()},
        "absent": absent,
        "connects": dict(connects),
    }


def _loads(toolkit: Toolkit, length: float) -> dict[str, str]:
    """The loads of a block, in order: what makes many events is followed by what makes none."""
    start = "python3 -S -c pass; python3 -c 'import argparse, json, subprocess'"
    return {
        "spawn": f"repeat {0.4 * length} -- /bin/true",
        "tcp": f"loop tcp {0.2 * length} {_NEVER}",
        "app-python": f'repeat {0.4 * length} -- /bin/sh -c "{start}"',
        "udp": f"loop udp {0.2 * length} {_RING_FULL}",
        "ioctl": f"loop ioctl {0.2 * length} {_NEVER}",
        "getppid": f"loop getppid {0.2 * length} {_NEVER}",
        "app-make": f"repeat {0.5 * length} -- /usr/bin/make -C {toolkit.build} --always-make --silent",
    }


def _peers(toolkit: Toolkit, audit: Audit) -> tuple[list[Step], dict[str, str]]:
    """The steps of a round with the peers that are here, and why others are not."""
    absent = {}
    steps = [Step("between")]
    if audit.obstacle:
        absent[AUDITD] = audit.obstacle
    else:
        steps.insert(0, Step(AUDITD, lambda: audit.daemon(toolkit), "between"))
    if find("bpftrace") is None:
        absent[BPFTRACE] = "not installed"
    else:
        steps.append(Step(BPFTRACE, lambda: bpftrace(toolkit), "between"))
    return (steps if len(steps) > 1 else []), absent


def _run_round(
    agent: Agent,
    loads: dict[str, str],
    steps: Sequence[Step],
    pairs: dict[str, list[tuple[Block, Block]]],
    plain: list[Block],
    *,
    backwards: bool,
) -> None:
    blocks: dict[str, Block] = {}
    for step in reversed(steps) if backwards else steps:
        with step.tracer():
            blocks[step.name] = {name: agent.run(load) for name, load in loads.items()}
    for step in steps:
        if step.against:
            pairs.setdefault(step.name, []).append((blocks[step.name], blocks[step.against]))
        else:
            plain.append(blocks[step.name])


def _compare(pairs: list[tuple[Block, Block]], load: str) -> dict[str, Any]:
    """Compare a load's CPU time an operation, and its time by the clock."""
    works = [(traced[load], without[load]) for traced, without in pairs]
    cpu = ratios((_cpu_ns(traced), _cpu_ns(without)) for traced, without in works)
    wall = ratios((traced.wall_ns / traced.ops, without.wall_ns / without.ops) for traced, without in works)
    return {"cpu": asdict(cpu), "wall": asdict(wall)}


def _cpu_ns(work: Work) -> float:
    return work.cpu_ns / work.ops

"""Many events at once: how many arrive, how many are counted as lost, and what each costs the auditor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bench import processes
from tests.bench.agent import Agent, Work
from tests.bench.auditor import Auditor
from tests.bench.stream import Stream
from tests.bench.toolkit import Toolkit, report

_STAND_IN = ("/dev/full", "1", "7")
"""A device that plays a GPU: path, major, minor. Nobody opens this one by chance."""
_SETTLE_S = 1
_PATIENCE_S = 30
_GPU_LOSSES = ("gpu.counts-full", "gpu.inflight-full", "gpu.unwatched")


def measure(toolkit: Toolkit, *, seconds: float) -> dict[str, Any]:
    """Run the floods. Every event that a load made must be in the stream or in its losses."""
    results = {
        "spawn": _flood(
            toolkit,
            f"pace spawn 2000 {seconds} 0 {toolkit.loads}",
            # A process is a fork, an exec and an exit; the load itself is one, too.
            made=lambda work: 3 * (work.ops + 1),
            delivered=lambda stream: sum(stream.events[action] for action in ("fork", "exec", "exit")),
            losses=("ring.fork", "ring.exec", "ring.exit"),
        ),
        "udp": _flood(
            toolkit,
            f"pace udp 100000 {seconds} 0 -",
            made=lambda work: work.ops,
            delivered=lambda stream: stream.events["connect"],
            losses=("ring.connect",),
        ),
        "ioctl": _flood(
            toolkit,
            # Watched from a moment after the device was opened.
            f"pace ioctl 500000 {seconds * 2 / 5} {_SETTLE_S} {_STAND_IN[0]}",
            made=lambda work: work.ops,
            delivered=lambda stream: stream.gpu_ioctls,
            losses=_GPU_LOSSES,
            stand_in=True,
        ),
    }
    # Without a moment's rest after the open: what was made before the watch began is seen by nobody.
    early = _flood(
        toolkit,
        f"pace ioctl 100000 0.5 0 {_STAND_IN[0]}",
        made=lambda work: work.ops,
        delivered=lambda stream: stream.gpu_ioctls,
        losses=_GPU_LOSSES,
        stand_in=True,
        complete=False,
    )
    unseen = early["made"] - early["delivered"] - early["lost"]
    return {**results, "gpu_blind_ms": unseen * early["wall_s"] / early["made"] * 1000}


def _flood(
    toolkit: Toolkit,
    load: str,
    *,
    made: Callable[[Work], int],
    delivered: Callable[[Stream], int],
    losses: tuple[str, ...],
    stand_in: bool = False,
    complete: bool = True,
) -> dict[str, Any]:
    with Agent(toolkit) as agent:
        module = ("tests.bench.standin", str(agent.pid), *_STAND_IN[1:]) if stand_in else ()
        with Auditor(toolkit, agent.pid, module=module) as auditor:
            stream, pids = auditor.stream, auditor.pids
            before = [processes.cpu_ns(pid) for pid in pids]
            work = agent.run(load)
            total = made(work)
            if complete and not stand_in:
                stream.wait(lambda: delivered(stream) + sum(stream.lost[what] for what in losses) >= total, _PATIENCE_S)
            spent = [processes.cpu_ns(pid) - start for pid, start in zip(pids, before, strict=True)]
            names = [processes.name(pid) for pid in pids]
            rss, _ = processes.memory_kib(pids)
        got = delivered(stream)
        counted = sum(stream.lost[what] for what in losses)
    report(f"floods: {load.split()[1]}")
    return {
        "made": total,
        "rate": work.ops / (work.wall_ns / 1e9),
        "wall_s": work.wall_ns / 1e9,
        "delivered": got,
        "lost": counted,
        "losses": dict(stream.lost),
        "cpu_us_per_event": sum(spent) / 1000 / got if got else None,
        "cpu_us": [[name, ns / 1000] for name, ns in zip(names, spent, strict=True)],
        "rss_kib": rss,
    }

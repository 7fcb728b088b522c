"""Tables of what was measured, beside what it may be at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bench.overhead import AUDITD, BPFTRACE, CONTROL, TRACKED, UNTRACKED
from tests.bench.tables import Table

_DIFFERS = 0.1
"""Time by the clock is shown where its ratio is this far from that of CPU time, as a share of it."""
_COLUMNS = ("spawn", "tcp", "udp", "ioctl", "getppid", "app-python", "app-make")
_AS_CONTROL = "as no tracing"

RATIO_BUDGETS: dict[str, dict[str, float | str]] = {
    UNTRACKED: {
        "spawn": 1.02, "udp": 1.02, "ioctl": 1.02, "getppid": 1.02,
        "app-python": _AS_CONTROL, "app-make": _AS_CONTROL,
    },
    TRACKED: {"spawn": 1.05, "tcp": 1.10, "udp": 1.6, "app-python": 1.03, "app-make": 1.03},
}  # fmt: skip
"""What a ratio's median may be at most."""
MEDIAN_LATENCY_MS, MAX_LATENCY_MS = 100, 1000
EVENT_CPU_US = 10
START_S = 0.7
RSS_MB = 80
RULES_RATE = 200_000
"""Events a second that the rules judge at least."""


def tables(results: dict[str, Any]) -> list[Table]:
    """Make the tables of the parts that were run."""
    makers: dict[str, Callable[[dict[str, Any]], Table]] = {
        "overhead": overhead_table,
        "latency": latency_table,
        "floods": floods_table,
        "footprint": footprint_table,
        "rules": rules_table,
    }
    return [make(results[part]) for part, make in makers.items() if part in results]


def rules_table(results: dict[str, Any]) -> Table:
    """A row for each engine that matched the rules."""
    rows = [["engine", "rules", "events", "events a second, one core", "answers that differ from ours"]]
    rate = results["ours"]["rate"]
    shown = _marked(f"{rate:,.0f}", rate < RULES_RATE)
    rows.append(
        ["auditor, alerts and sequences included", str(results["ours"]["rules"]), f"{results['events']:,}", shown, "-"]
    )
    peers = {"sql": "pySigma's SQLite backend", "eql": "the eql package", "reference": "the tests' plainest matcher"}
    for key, name in peers.items():
        peer = results[key]
        differ = _marked(f"{peer['differ']:,}", peer["differ"] > 0)
        rows.append([name, str(peer["rules"]), f"{peer['events']:,}", f"{peer['rate']:,.0f}", differ])
    kinds = ", ".join(f"{count / results['events']:.0%} {kind}" for kind, count in sorted(results["kinds"].items()))
    whose = "our rules and SigmaHQ's for Linux" if results["sigmahq"] else "our rules alone"
    notes = [
        f"{whose}; {kinds}. Of files and names there are no events yet",
        "CPU time, after lineage is done; SQLite: put in and asked",
        "SQLite: rules without lists; eql: those without expressions, networks and case too, translated by us",
        f"matches, of which a tool call raises one alert a rule: {results['hits']:,}",
    ]
    return Table("Rules", rows, notes)


def overhead_table(results: dict[str, Any]) -> Table:
    """A row for each tracer, a column for each load."""
    loads = [load for load in _COLUMNS if load in results["plain_ns"]]
    rows = [["", *loads]]
    rows.append(["no tracing, CPU an operation", *(_time(results["plain_ns"][load]["median"]) for load in loads)])
    for tracer in (CONTROL, UNTRACKED, TRACKED, AUDITD, BPFTRACE):
        found = results["ratios"].get(tracer)
        if found is not None:
            rows.append([tracer, *(_ratio(found[load], _over(tracer, load, found[load])) for load in loads)])
        elif tracer in results["absent"]:
            rows.append([tracer, results["absent"][tracer], *("" for _ in loads[1:])])
        if tracer in RATIO_BUDGETS:
            rows.append(["- at most", *(_limit(RATIO_BUDGETS[tracer].get(load)) for load in loads)])
    rounds = {tracer: next(iter(found.values()))["cpu"]["count"] for tracer, found in results["ratios"].items()}
    notes = [
        "CPU time of the load and its children, traced over not traced, pair by pair: median (lowest to highest)",
        "`w`: the same by the clock, where it differs by a tenth; bold: over the budget",
        f"pairs: {', '.join(f'{tracer} {count}' for tracer, count in rounds.items())}",
    ]
    connects = results["connects"]
    if connects.get("delivered"):
        share = connects["delivered"] / (connects["delivered"] + connects["lost"])
        notes.append(f"of the watched connects {share:.1%} were delivered, the others counted as lost")
    return Table("Overhead", rows, notes)


def latency_table(results: dict[str, Any]) -> Table:
    """A row for each kind of offender."""
    rows = [["from just before execve to the alert's line, ms", "offences", "median", "95 of 100", "highest"]]
    size = results["new_file_bytes"] / 1e6
    for name, words in (("known", "one executable"), ("new", f"each a new executable of {size:.1f} MB")):
        spread = results[name]["ms"]
        rows.append(
            [
                words,
                str(spread["count"]),
                _marked(f"{spread['median']:.1f}", spread["median"] >= MEDIAN_LATENCY_MS),
                f"{results[name]['p95_ms']:.1f}",
                _marked(f"{spread['high']:.1f}", spread["high"] >= MAX_LATENCY_MS),
            ]
        )
    rows.append(["- at most", "", str(MEDIAN_LATENCY_MS), "", str(MAX_LATENCY_MS)])
    return Table("Latency", rows)


def floods_table(results: dict[str, Any]) -> Table:
    """A row for each flood."""
    rows = [["", "a second", "events made", "delivered", "counted as lost", "missing", "auditor's CPU an event, µs"]]
    names = {"spawn": "processes (fork, exec, exit)", "udp": "UDP connects", "ioctl": "GPU ioctls (in summaries)"}
    for flood, words in names.items():
        found = results[flood]
        missing = found["made"] - found["delivered"] - found["lost"]
        cost = found["cpu_us_per_event"]
        rows.append(
            [
                words,
                f"{found['rate']:,.0f}",
                f"{found['made']:,}",
                f"{found['delivered']:,}",
                f"{found['lost']:,}",
                _marked(f"{missing:,}", missing != 0),
                "" if cost is None else _marked(f"{cost:.2f}", cost > EVENT_CPU_US),
            ]
        )
    rows.append(["- at most", "", "", "", "", "0", str(EVENT_CPU_US)])
    other = sorted({what for flood in names for what in results[flood]["losses"] if not what.startswith("ring.")})
    notes = [
        f"a device's first ioctls are unseen for {max(results['gpu_blind_ms'], 1):.0f} ms at most",
        f"RSS of all its processes after the UDP flood: {_mb(results['udp']['rss_kib']):.1f} MB",
    ]
    if other:
        notes.append(f"also told in the streams' losses: {', '.join(other)}")
    return Table("Floods", rows, notes)


def footprint_table(results: dict[str, Any]) -> Table:
    """A row for each figure."""
    start, rss = results["start_s"], _mb(results["rss_kib"])
    median = f"{start['median']:.2f}"
    rows = [
        ["", "measured", "at most"],
        [
            f"start to first event, s ({start['count']} starts)",
            f"{_marked(median, start['median'] > START_S)} ({start['low']:.2f}-{start['high']:.2f})",
            str(START_S),
        ],
        ["RSS of all processes, MB", _marked(f"{rss:.1f}", rss > RSS_MB), str(RSS_MB)],
        ["- without counting shared pages twice (PSS)", f"{_mb(results['pss_kib']):.1f}", ""],
        ["CPU while nothing happens", f"{results['idle_cpu']:.2%} of one", ""],
    ]
    each = [f"{name} {_mb(sizes['rss_kib']):.1f}" for name, sizes in results["processes"].items()]
    return Table("Footprint", rows, [f"RSS, MB: {', '.join(each)}"])


def _over(tracer: str, load: str, found: dict[str, Any]) -> bool:
    limit = RATIO_BUDGETS.get(tracer, {}).get(load)
    return isinstance(limit, float) and round(found["cpu"]["median"], 2) > limit


def _ratio(found: dict[str, Any], over: bool) -> str:
    cpu, wall = found["cpu"], found["wall"]["median"]
    text = f"{_marked(_short(cpu['median']), over)} ({_short(cpu['low'])}-{_short(cpu['high'])})"
    return f"{text} w{_short(wall)}" if abs(wall / cpu["median"] - 1) > _DIFFERS else text


def _limit(limit: float | str | None) -> str:
    return f"{limit:.2f}" if isinstance(limit, float) else limit or ""


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _time(ns: float) -> str:
    for unit, size in (("ns", 1), ("µs", 1e3), ("ms", 1e6)):
        if ns < 1000 * size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def _mb(kib: int) -> float:
    return kib * 1.024 / 1000


def _marked(text: str, over: bool) -> str:
    return f"**{text}**" if over else text

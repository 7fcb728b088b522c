"""Results stand in the tables beside what they may be at most."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.overhead import AUDITD, BPFTRACE, CONTROL, TRACKED, UNTRACKED
from tests.bench.results import floods_table, footprint_table, latency_table, overhead_table, tables
from tests.bench.tables import Table


def spread(median: float, low: float | None = None, high: float | None = None, count: int = 3) -> dict[str, Any]:
    """Make what a measurement is summed up as."""
    return {"median": median, "low": low or median, "high": high or median, "count": count}


def ratio(cpu: float, wall: float | None = None) -> dict[str, Any]:
    """Make a comparison of one load."""
    return {"cpu": spread(cpu, cpu - 0.1, cpu + 0.1), "wall": spread(wall or cpu)}


def overhead(**loads: dict[str, Any]) -> dict[str, Any]:
    """Make the overhead part, each load with the same ratio under every tracer but the peers."""
    return {
        "plain_ns": {load: spread(1234.5) for load in loads},
        "ratios": dict.fromkeys((CONTROL, UNTRACKED, TRACKED), loads),
        "absent": {AUDITD: "not run: this host's own audit is in use", BPFTRACE: "not installed"},
        "connects": {"delivered": 3, "lost": 1},
    }


def flood(made: int, delivered: int, lost: int, cost: float | None = 5) -> dict[str, Any]:
    """Make the result of a flood."""
    return {
        "made": made,
        "rate": 1000.0,
        "wall_s": 1.0,
        "delivered": delivered,
        "lost": lost,
        "losses": {"ring.connect": lost, "facts.late": 1} if lost else {},
        "cpu_us_per_event": cost,
        "rss_kib": 50_000,
    }


def row(table: Table, first: str) -> list[str]:
    """Find a row by its first cell."""
    return list(next(each for each in table.rows if each[0] == first))


def test_ratio_over_its_budget_is_marked() -> None:
    """A load whose median exceeds the budget is bold, and only with the tracer whose budget it is."""
    table = overhead_table(overhead(spawn=ratio(1.04)))
    assert row(table, UNTRACKED)[1] == "**1.04** (0.94-1.14)"
    assert row(table, TRACKED)[1] == "1.04 (0.94-1.14)"
    assert row(table, CONTROL)[1] == "1.04 (0.94-1.14)"


def test_ratio_is_judged_as_it_is_shown() -> None:
    """What reads as the budget is within it."""
    assert row(overhead_table(overhead(udp=ratio(1.604))), TRACKED)[1].startswith("1.60 ")
    assert row(overhead_table(overhead(udp=ratio(1.606))), TRACKED)[1].startswith("**1.61** ")


def test_time_by_the_clock_is_shown_where_it_differs() -> None:
    """A load that was made to wait shows by the clock what its CPU time hides."""
    table = overhead_table(overhead(tcp=ratio(1.05, 40.2), ioctl=ratio(1.0, 1.05)))
    assert row(table, CONTROL)[1:] == ["1.05 (0.95-1.15) w40", "1.00 (0.90-1.10)"]


def test_absent_peer_has_its_row() -> None:
    """A peer that could not be run says why instead of vanishing."""
    table = overhead_table(overhead(tcp=ratio(1), udp=ratio(1)))
    assert row(table, AUDITD) == [AUDITD, "not run: this host's own audit is in use", ""]
    assert row(table, BPFTRACE) == [BPFTRACE, "not installed", ""]


def test_lost_connects_are_told() -> None:
    """A ratio that was measured while events were lost says so."""
    assert (
        "of the watched connects 75.0% were delivered, the others counted as lost"
        in overhead_table(overhead(udp=ratio(1))).notes
    )


@pytest.mark.parametrize(("ns", "shown"), [(121.4, "121 ns"), (12_345, "12.3 µs"), (2.5e8, "250 ms"), (2e9, "2 s")])
def test_time_has_a_fitting_unit(ns: float, shown: str) -> None:
    """What an operation costs is told with three digits."""
    results = overhead(udp=ratio(1))
    results["plain_ns"]["udp"] = spread(ns)
    assert row(overhead_table(results), "no tracing, CPU an operation")[1] == shown


def test_slow_alerts_are_marked() -> None:
    """Median and highest are held to budgets of their own."""
    slow = {"ms": spread(100.0, 1, 1000.0), "p95_ms": 900.0}
    quick = {"ms": spread(99.94, 1, 999.9), "p95_ms": 900.0}
    table = latency_table({"known": slow, "new": quick, "new_file_bytes": 6_800_000})
    assert row(table, "one executable")[2:] == ["**100.0**", "900.0", "**1000.0**"]
    assert row(table, "each a new executable of 6.8 MB")[2:] == ["99.9", "900.0", "999.9"]


def test_events_that_nobody_counted_are_marked() -> None:
    """What was made must be delivered or counted as lost; what is neither stands out."""
    parts = {
        "spawn": flood(30, 30, 0),
        "udp": flood(100, 90, 10),
        "ioctl": flood(100, 90, 9, None),
        "gpu_blind_ms": 0.1,
    }
    table = floods_table(parts)
    assert row(table, "UDP connects")[2:] == ["100", "90", "10", "0", "5.00"]
    assert row(table, "GPU ioctls (in summaries)")[2:] == ["100", "90", "9", "**1**", ""]
    assert "also told in the streams' losses: facts.late" in table.notes


def test_footprint_is_told_in_millions_of_bytes() -> None:
    """The kernel's kB are 1,024 bytes; the budget's MB are a million."""
    results = {
        "start_s": spread(0.71, 0.6, 0.8),
        "rss_kib": 78_000,
        "pss_kib": 40_000,
        "processes": {"python 1": {"rss_kib": 78_000, "pss_kib": 40_000}},
        "idle_cpu": 0.0123,
    }
    table = footprint_table(results)
    assert row(table, "start to first event, s (3 starts)")[1] == "**0.71** (0.60-0.80)"
    assert row(table, "RSS of all processes, MB")[1] == "79.9"
    assert row(table, "CPU while nothing happens")[1] == "1.23% of one"


def test_only_what_was_measured_is_told() -> None:
    """A part that was not run has no table."""
    assert [table.title for table in tables({"machine": {}, "overhead": overhead(udp=ratio(1))})] == ["Overhead"]


@pytest.mark.parametrize(
    ("rate", "differ", "cells"), [(250_000, 0, ("250,000", "0")), (99_999, 2, ("**99,999**", "**2**"))]
)
def test_rules_too_slow_or_wrong_are_marked(rate: float, differ: int, cells: tuple[str, str]) -> None:
    """A rate below what is promised is bold, and so is a difference from another engine."""
    peer = {"rules": 3, "events": 10, "rate": 2000.0, "differ": differ}
    results = {
        "sigmahq": False, "kinds": {"Exec": 10}, "events": 10, "hits": 1,
        "ours": {"rules": 4, "rate": rate}, "sql": peer, "eql": peer, "reference": peer,
    }  # fmt: skip
    (table,) = tables({"rules": results})
    assert row(table, "auditor, alerts and sequences included")[3] == cells[0]
    assert row(table, "the eql package")[3:] == ["2,000", cells[1]]

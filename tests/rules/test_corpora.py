"""The pack against command lines that it was not written from: how much it catches, and how often it cries out."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from auditor.decode.ecs import read_documents
from auditor.lineage.table import Table
from auditor.rules.engine import Engine
from auditor.rules.sigma import read_pack
from tests.rules import corpora
from tests.rules.corpora import Case

pytestmark = pytest.mark.skipif(not corpora.FOLDER.is_dir(), reason="no corpora beside the checkout")

PACK: Final = Path(__file__).parents[2] / "rules"
LOUD: Final = frozenset({"medium", "high", "critical"})
FAMILIES: Final = {
    "tunnels": {"tunnel_other", "reverse_ssh_tunnel"},
    "miners": {"crypto_miner"},
    "scans": {"internal_scan"},
    "firewall": {"firewall_tamper"},
    "metadata": {"metadata_theft"},
    "shells": {"reverse_shell", "shell_spawn"},
}


@cache
def verdicts(name: str) -> dict[str, frozenset[str]]:
    """Replay a corpus; gives for each case the rules that alerted at medium or above."""
    cases = corpora.read(name)
    engine, table = Engine(read_pack([PACK])), Table()
    loud: dict[str, set[str]] = {case.id: set() for case in cases}
    for event in read_documents(corpora.lines(cases)):
        process = table.apply(event)
        for alert in engine.observe(event, process):
            if alert.rule.level in LOUD and process is not None and process.session is not None:
                loud[process.session.id].add(alert.rule.name)
    return {case: frozenset(rules) for case, rules in loud.items()}


def caught(cases: list[Case]) -> list[Case]:
    """Keep the attacks that something alerted on."""
    return [case for case in cases if verdicts("attacks.jsonl")[case.id]]


def test_families_are_caught() -> None:
    """At least 95 of 100 cases of tunnels, miners, scans, firewall, metadata and shells."""
    groups = set().union(*FAMILIES.values())
    cases = [case for case in corpora.read("attacks.jsonl") if case.group in groups]
    missed = [f"{case.id} ({case.group}): {case.text}" for case in cases if case not in caught(cases)]
    assert len(missed) <= 0.05 * len(cases), missed


def test_ordinary_work_is_left_alone() -> None:
    """At most one benign case of 100 alerts; those whose label is in doubt do not count."""
    cases = [case for case in corpora.read("benign.jsonl") if case.sound]
    loud = {case.id: verdicts("benign.jsonl")[case.id] for case in cases if verdicts("benign.jsonl")[case.id]}
    assert len(loud) <= 0.01 * len(cases), loud


def test_what_is_caught_of_each_kind() -> None:
    """Prints the table of all kinds (with `-s`); every case of every corpus has a verdict."""
    cases = corpora.read("attacks.jsonl")
    every, hit = Counter(case.group for case in cases), Counter(case.group for case in caught(cases))
    missed = defaultdict(list)
    for case in cases:
        if not verdicts("attacks.jsonl")[case.id]:
            missed[case.group].append(case.id)
    seen = [case for case in cases if case.execs or case.connects]
    table = [f"\n{'kind':20} caught    of  missed"]
    for group, count in every.most_common():
        table.append(f"{group:20} {hit[group]:6} {count:5}  {' '.join(missed[group])}")
    table.append(
        f"{'with exec or connect':20} {len(caught(seen)):6} {len(seen):5}  {len(caught(seen)) / len(seen):.1%}"
    )
    sys.stdout.write("\n".join(table) + "\n")
    for name in ("attacks.jsonl", "benign.jsonl"):
        assert verdicts(name).keys() == {case.id for case in corpora.read(name)}

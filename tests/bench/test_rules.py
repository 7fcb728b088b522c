"""What is measured for the rules answers as the others do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auditor.rules.sigma import read_pack
from tests.bench import rules
from tests.bench.engines import Eql, Sql, plain, scalar
from tests.bench.rules import by_reference, hits
from tests.bench.traffic import make_stream

RULE = """\
title: {name}
id: 2f0c7a86-6c0e-4c7b-9a43-6f6d8f2b1a1{number}
name: {name}
logsource: {{product: linux, category: {category}}}
detection:
  it: {test}
  not_it: {{ParentImage: /usr/bin/bash}}
  condition: it and not not_it
level: low
"""
TESTS = {
    "ends": ("process_creation", "{Image|endswith: [/GIT, /sed]}"),
    "has": ("process_creation", "{CommandLine|contains: [README, '\"w*']}"),
    "number": ("network_connection", "{DestinationPort|gt: 400}"),
    "equal": ("network_connection", "{DestinationIp: 10.1.2.3, Initiated: true}"),
    "list": ("process_creation", "{Args: -O2}"),
    "expression": ("process_creation", "{CommandLine|re: 'epochs [0-9]+'}"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of small rules."""
    for number, (name, (category, test)) in enumerate(TESTS.items()):
        (tmp_path / f"{name}.yml").write_text(RULE.format(name=name, number=number, category=category, test=test))
    return tmp_path


def test_engines_agree(folder: Path) -> None:
    """On every rule that an engine has words for, it matches the events that ours matches."""
    pack = read_pack([folder])
    stream = make_stream(400, pack)
    ours = hits(pack, stream)
    assert {key for _, key in ours} == set(TESTS)
    assert by_reference(pack, stream) == ours
    in_sql = [rule for rule in pack.detections if scalar(rule)]
    assert {rule.key for rule in in_sql} == set(TESTS) - {"list"}
    assert Sql([folder], in_sql).hits(stream) == {hit for hit in ours if hit[1] != "list"}
    in_eql = [rule for rule in pack.detections if plain(rule)]
    assert {rule.key for rule in in_eql} == set(TESTS) - {"list", "expression"}
    assert Eql(in_eql).hits(stream) == {hit for hit in ours if hit[1] not in {"list", "expression"}}


def test_differences_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine of ours that missed a rule's matches would differ from each that has them."""
    monkeypatch.setattr(rules, "OURS", folder)
    monkeypatch.setattr(rules, "SIGMAHQ", folder / "none")
    sound = rules.measure(None, events=100, peer_events=50, checked=30)
    assert [sound[key]["differ"] for key in ("sql", "eql", "reference")] == [0, 0, 0]
    assert (sound["events"], sound["rules"], sound["sigmahq"]) == (100, len(TESTS), False)

    def deaf(pack, stream):
        return hits(replace(pack, detections=tuple(rule for rule in pack.detections if rule.key != "number")), stream)

    monkeypatch.setattr(rules, "hits", deaf)
    broken = rules.measure(None, events=100, peer_events=50, checked=30)
    assert all(broken[key]["differ"] > 0 for key in ("sql", "eql", "reference"))

"""The stream that the rules are measured on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from auditor.model.events import Connect, Exec
from auditor.rules.pack import Pack
from auditor.rules.sigma import read_pack
from tests.bench.traffic import make_stream

RULE = Path(__file__).parents[2] / "rules" / "core" / "tunnels" / "ssh-remote-forward.yml"


def test_same_seed_same_stream() -> None:
    """Two runs measure the same events; another seed makes others."""
    first, again, other = (make_stream(300, Pack(), seed) for seed in (1, 1, 2))
    assert [event for event, _ in first] == [event for event, _ in again]
    assert [event for event, _ in first] != [event for event, _ in other]


def test_mix() -> None:
    """Execs are two thirds, connections a quarter, and each event has the process that acts in it."""
    stream = make_stream(3000, Pack())
    kinds = Counter(type(event) for event, _ in stream)
    assert len(stream) == 3000
    assert 0.6 < kinds[Exec] / 3000 < 0.73
    assert 0.2 < kinds[Connect] / 3000 < 0.3
    assert all(process.task.tgid == event.tgid for event, process in stream)
    assert {process.session.id for _, process in stream if process.session} == {"s1"}


def test_offences_are_of_the_rules_examples() -> None:
    """A few execs do what the rules look for."""
    pack = read_pack([RULE])
    renamed = [process for _, process in make_stream(4000, pack) if "8022:localhost:22" in process.command_line]
    assert 0 < len(renamed) < 100

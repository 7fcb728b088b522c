"""Tests of auditor.model.alerts."""

from __future__ import annotations

import pytest

from auditor.model.alerts import LEVELS, SEVERITY, RuleInfo


@pytest.mark.parametrize(
    ("tags", "techniques"),
    [
        ((), ()),
        (("attack.t1572", "attack.command-and-control"), ("T1572",)),
        (("attack.t1021.004", "attack.t1496"), ("T1021.004", "T1496")),
        (("attack.ta0011", "attack.tactic", "cve.2021.4034", "t1572"), ()),
    ],
)
def test_techniques_are_the_tags_that_name_one(tags: tuple[str, ...], techniques: tuple[str, ...]) -> None:
    """Of a rule's tags only those of the form attack.tNNNN are techniques; tactics and other namespaces are not."""
    assert RuleInfo("id", "name", "high", tags).techniques == techniques


def test_severity_rises_with_the_level() -> None:
    """Each level has a severity, and a worse level a higher one."""
    assert tuple(SEVERITY) == LEVELS
    assert list(SEVERITY.values()) == sorted(set(SEVERITY.values()))

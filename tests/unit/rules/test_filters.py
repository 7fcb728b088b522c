"""Filters: what a site approves of, taken out of rules that others wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.rules.test_correlations import COUNT, fired, ssh
from tests.unit.rules.test_sigma import RULE, problems, read

FILTER = """\
title: Approved
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1009
logsource: {product: linux, category: process_creation}
filter:
  rules: [a_rule]
  bastion: {CommandLine|endswith: bastion}
  condition: not bastion
"""


def test_a_filter_leaves_out_what_is_approved(tmp_path: Path) -> None:
    """By name, or of any rule with its log source."""
    for text in (FILTER, FILTER.replace("[a_rule]", "any"), FILTER.replace(", category: process_creation", "")):
        pack = read(tmp_path, text, RULE)
        assert fired(pack, ssh(100, 10, "bastion")) == []
        assert fired(pack, ssh(100, 10, "elsewhere")) == ["A rule"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("condition: not bastion", "condition: bastion"), "rule0.yml:7: a filter's condition"),
        (("[a_rule]", "[no_rule]"), "rule0.yml:5: there is no rule 'no_rule'"),
        (("[a_rule]", "[count]"), "rule0.yml:5: 'count' is a correlation"),
        (("rules: [a_rule]", "rules: 7"), "rule0.yml:5: a filter names its 'rules'"),
        (("CommandLine", "CmdLine"), "rule0.yml:6: unknown field 'CmdLine'"),
        (("logsource:", "logsrc:"), "a filter needs a 'logsource'"),
    ],
)
def test_a_mistake_in_a_filter_is_told(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    """Each thing that can be wrong with a filter has its message."""
    assert change[0] in FILTER
    found = problems(tmp_path, FILTER.replace(*change), RULE, COUNT)
    assert any(expected in line for line in found), found

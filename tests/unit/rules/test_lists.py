"""Lists of a site, which fill the placeholders of rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import make_exec
from tests.unit.rules.test_correlations import fired
from tests.unit.rules.test_sigma import RULE, problems, read

LISTS = """\
vars:
  clients: [/ssh, /autossh]
transformations:
  - type: value_placeholders
"""
PLACEHOLDER = RULE.replace("Image|endswith: /ssh", "Image|endswith|expand: '%clients%'")


def test_lists_fill_placeholders(tmp_path: Path) -> None:
    """The file stands in the pack's folder, or beside a file."""
    (tmp_path / "lists.yml").write_text(LISTS)
    pack = read(tmp_path, PLACEHOLDER)
    assert fired(pack, make_exec(100, ("autossh",))) == ["A rule"]
    assert fired(pack, make_exec(100, ("nc",))) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("vars:\n  clients: [/ssh, /autossh]", "vars: 7"), "lists.yml:1: a file of lists has a mapping 'vars'"),
        (("[/ssh, /autossh]", "{}"), "lists.yml:2: list 'clients' holds"),
        (("value_placeholders", "drop"), "lists.yml:3: a file of lists has one transformation"),
        (("vars:", "varz:"), "lists.yml:1: 'varz' is not known"),
    ],
)
def test_a_mistake_in_a_file_of_lists_is_told(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    """Each thing that can be wrong with lists has its message."""
    assert change[0] in LISTS
    (tmp_path / "lists.yml").write_text(LISTS.replace(*change))
    found = problems(tmp_path, RULE)
    assert any(expected in line for line in found), found

"""Rules read in a child process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auditor.errors import AuditorError, RuleError
from auditor.live.packs import load_pack
from auditor.rules.sigma import read_pack

RULE = """\
title: Netcat
id: 7e570000-0000-4000-8000-000000000001
logsource:
  product: linux
  category: process_creation
detection:
  named:
    Image|endswith: /nc
  condition: named
level: low
"""


def test_pack_is_what_the_parser_reads(tmp_path: Path) -> None:
    """The pack that comes from the child is the one that reading here would give."""
    (tmp_path / "netcat.yml").write_text(RULE)
    assert load_pack((tmp_path,)).to_json() == read_pack((tmp_path,)).to_json()


def test_parser_stays_in_the_child(tmp_path: Path) -> None:
    """A process that takes a pack this way never imports pySigma."""
    (tmp_path / "netcat.yml").write_text(RULE)
    script = (
        "import sys, pathlib; from auditor.live.packs import load_pack;"
        f"load_pack((pathlib.Path({str(tmp_path)!r}),)); print(sorted(set(sys.modules) & {{'sigma', 'yaml'}}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_problem_comes_through(tmp_path: Path) -> None:
    """All problems of all files are told, each with its file and line."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yml").write_text("title: No id\n")
    with pytest.raises(RuleError) as caught:
        load_pack((tmp_path,))
    for name in ("one", "two"):
        assert [it for it in caught.value.problems if it.startswith(f"{tmp_path}/{name}.yml:")] != []


def test_child_that_fails_is_an_error() -> None:
    """What the parser never meant to raise is an error too, and not an unwound child."""
    with pytest.raises(AuditorError, match="reading the rules failed: "):
        load_pack((None,))  # type: ignore[arg-type]

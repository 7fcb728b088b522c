"""The command line refuses what would waste minutes, before it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.tables import replace_between


def bench(*arguments: str, root: Path, uid: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the bench."""
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=root, user=uid, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["overheads"], ["--write", "--quick"], ["--write", "latency"]])
def test_mistaken_arguments_are_refused(root: Path, arguments: list[str]) -> None:
    """A part that is not there, or writing down what was not measured whole, is a mistake of the user's."""
    done = bench(*arguments, root=root)
    assert (done.returncode, done.stdout) == (2, "")


def test_without_root_one_line_says_so(root: Path) -> None:
    """An ordinary user is told what to do, without a traceback."""
    uid = 65534 if os.geteuid() == 0 else None
    done = bench("--quick", root=root, uid=uid)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "bench: measuring needs root, because what is measured does: run it with sudo\n"


def test_document_has_a_place_for_the_tables(root: Path) -> None:
    """What `--write` looks for is in the document."""
    assert "the tables" in replace_between((root / "docs" / "overhead.md").read_text(), "the tables")

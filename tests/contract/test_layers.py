"""The rooms' layers, as pyproject.toml states them, hold; and what breaks them is caught."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint(folder: Path) -> tuple[int, str]:
    """Run import-linter on the package in `folder`, not on the checkout's that a .pth file offers."""
    run = "from importlinter.cli import lint_imports_command as lint; lint()"
    command = [sys.executable, "-c", run, "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """Copy what import-linter reads, to be broken."""
    shutil.copytree(root / "auditor", tmp_path / "auditor", ignore=shutil.ignore_patterns("__pycache__", "_assets"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def add(module: Path, line: str) -> None:
    """Put an import at the end of a module."""
    module.write_text(f"{module.read_text()}\n{line}\n")


def test_layers_hold(root: Path) -> None:
    """Every contract is kept by the package as it is."""
    status, said = lint(root)
    assert status == 0, said
    assert re.search(r"Contracts: \d+ kept, 0 broken", said)


# The contract is given by the first word of its name.
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("decode/__init__.py", "import auditor.rules", "Rooms"),
        ("sinks/__init__.py", "import auditor.lineage", "Rooms"),
        ("errors.py", "import auditor.cli", "Rooms"),
        ("lineage/__init__.py", "import time", "Right"),
        ("decode/__init__.py", "from pathlib import Path", "Right"),
        ("rules/__init__.py", "import bcc", "One"),
        ("capture/__init__.py", "import elftools", "One"),
    ],
)
def test_break_is_caught(copy: Path, module: str, line: str, contract: str) -> None:
    """An import upwards, sideways, of a clock or past a door breaks the contract that forbids it."""
    add(copy / "auditor" / module, line)
    status, said = lint(copy)
    assert status == 1
    verdicts = re.findall(r"(Rooms|Right|One).*? (KEPT|BROKEN)\b", said)
    assert (contract, "BROKEN") in verdicts, said


def test_unlisted_room_is_caught(copy: Path) -> None:
    """A room that the layers do not name breaks them."""
    (copy / "auditor" / "helpers.py").write_text("")
    status, said = lint(copy)
    assert status == 1
    assert "auditor.helpers" in said

"""The scripts hold what the README promises of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from auditor import __version__


def run(*command: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script."""
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def set_up(root: Path) -> None:
    """Skip where the tests run from another environment: a script would set up its own first."""
    if not (root / ".venv" / "setup-test").exists():
        pytest.skip("not set up by scripts/setup")


def test_setup_in_place_says_nothing(root: Path, tmp_path: Path) -> None:
    """Once all is in place, setting up prints nothing and writes nothing."""
    stamp = (root / ".venv" / "setup-test").stat().st_mtime_ns
    done = run(root / "scripts" / "setup", "test", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (root / ".venv" / "setup-test").stat().st_mtime_ns == stamp


def test_setup_refuses_what_it_does_not_know(root: Path, tmp_path: Path) -> None:
    """A mistyped word is not taken for the default."""
    done = run(root / "scripts" / "setup", "tests", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: scripts/setup [run|demo|test|bench]\n"


def test_auditor_runs_from_anywhere(root: Path, tmp_path: Path) -> None:
    """The script works through a link and from another directory, and uses its own checkout."""
    (tmp_path / "link").symlink_to(root / "scripts" / "auditor")
    (tmp_path / "again").symlink_to("link")
    done = run(tmp_path / "again", "--version", cwd=Path("/"))
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_auditor_takes_no_code_from_the_working_directory(root: Path, tmp_path: Path) -> None:
    """Started in an agent's directory it imports no module that waits there, nor what PYTHONPATH names."""
    for module in ("auditor", "json", "click", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('imported from the working directory')\n")
    done = run(root / "scripts" / "auditor", "--version", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_ci_runs_all_tests(root: Path) -> None:
    """What CI runs is the script that a person runs, without arguments that would narrow it."""
    assert (root / ".ci" / "run").read_text().splitlines()[-1] == 'exec "$(dirname "$0")/../scripts/test"'


@pytest.mark.parametrize("script", ["auditor", "check", "lock", "setup", "test"])
def test_script_stops_at_the_first_failure(root: Path, script: str) -> None:
    """Every script can be run, and does not go on after a command that failed."""
    path = root / "scripts" / script
    assert os.access(path, os.X_OK)
    assert "\nset -euo pipefail\n" in path.read_text()

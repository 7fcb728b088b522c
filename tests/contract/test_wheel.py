"""A wheel of the project is whole: installed elsewhere it finds its probes and rules, and runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from auditor import __version__

PARTS = ("auditor", "bpf", "rules", "pyproject.toml", "README.md", "LICENSE")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must work, and give what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of the checkout, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        if (root / part).is_dir():
            shutil.copytree(root / part, source / part, symlinks=True, ignore=ignore)
        else:
            shutil.copy(root / part, source / part)
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, source, cwd=folder)
    return next(folder.glob("auditor-*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a virtual environment that borrows the dependencies; give the environment's folder."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    options = ("--quiet", "--no-deps", "--no-index")
    run(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", *options, wheel, cwd=folder)
    site = next(folder.glob("lib/python3*/site-packages"))
    # A .pth file's folder is searched last, and .pth files in it (the checkout's) are not followed.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_wheel_holds_what_is_not_python(root: Path, wheel: Path) -> None:
    """Every probe source, every rule and both licences are in the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    probes = {f"auditor/_assets/bpf/{path.name}" for path in (root / "bpf").glob("*.[ch]")}
    rules = {f"auditor/_assets/{path.relative_to(root)}" for path in (root / "rules").rglob("*.yml")}
    assert probes
    assert probes | rules <= names
    licences = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "bpf/LICENSE"}


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    """No test, script or cache got in."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"auditor", f"auditor-{__version__}.dist-info"}


def test_installed_package_finds_its_files(installed: Path) -> None:
    """An installed auditor uses its own probes and rules, not a checkout's."""
    ask = "from auditor import assets; print(assets.probes(), assets.rules(), (assets.probes() / 'wire.h').is_file())"
    probes, rules, found = run(installed / "bin/python", "-I", "-c", ask, cwd=installed).split()
    assert found == "True"
    assert Path(probes).is_relative_to(installed)
    assert Path(rules).is_relative_to(installed)


def test_installed_command_runs(installed: Path) -> None:
    """The installed command tells its version."""
    assert __version__ in run(installed / "bin/auditor", "--version", cwd=installed)

"""The stage, but for what takes root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.demo.stage import PREFIX, check_host, missing_packages, sweep
from auditor.errors import HostError

DEAD = 2**22 + 1
"""Above every pid that Linux gives (PID_MAX_LIMIT, 2**22)."""


def test_sweep_takes_only_what_the_dead_left(tmp_path: Path) -> None:
    """Empty mount points of processes that are gone are removed; a living demo's, full ones and others stay."""
    names = [f"{PREFIX}{DEAD}-a", f"{PREFIX}{os.getpid()}-b", f"{PREFIX}{DEAD}-full", f"{PREFIX}x-c", "other"]
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / names[2] / "file").touch()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_missing_commands_are_told_by_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where commands are missing, the packages that bring them are named, each once."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_packages() == sorted(set(missing_packages()))
    assert {"iproute2", "openssh-client"} <= set(missing_packages())
    with pytest.raises(HostError, match=r"root|apt-get install .*iproute2"):
        check_host()

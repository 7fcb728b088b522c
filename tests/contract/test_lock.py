"""The lock files pin all that pyproject.toml asks for, by hash, and name no place to get it from."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-demo.lock", "requirements-test.lock")


def pins(lock: Path) -> dict[str, str]:
    """Read a lock file: version by name."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), flags=re.MULTILINE))


def asked(project: dict[str, Any], lock: str) -> list[Requirement]:
    """List what pyproject.toml asks of a lock file."""
    groups = dict(project["dependency-groups"]) if lock == "requirements-test.lock" else {}
    groups |= project["project"]["optional-dependencies"] if lock != "requirements.lock" else {}
    lines = [*project["project"]["dependencies"], *(line for group in groups.values() for line in group)]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_meets_the_project(root: Path, lock: str) -> None:
    """Each dependency is pinned to a version that pyproject.toml accepts."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    pinned = pins(root / lock)
    wrong = [
        need for need in asked(project, lock) if pinned.get(canonicalize_name(need.name), "0") not in need.specifier
    ]
    assert wrong == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_pins_and_hashes_only(root: Path, lock: str) -> None:
    """Each line is a pin or one of its hashes: no index, address, path or option."""
    lines = (root / lock).read_text().splitlines()
    pin = re.compile(r"[a-z0-9.-]+==[A-Za-z0-9.]+( ; [a-z_A-Z0-9 '!=<>.]+)? \\")
    digest = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not pin.fullmatch(line) and not digest.fullmatch(line)] == []
    bare = [last for last, line in itertools.pairwise(lines) if pin.fullmatch(last) and not digest.fullmatch(line)]
    assert bare == []


def test_locks_agree(root: Path) -> None:
    """The demo and the tests run with the versions that the program runs with."""
    run, demo, test = (pins(root / lock) for lock in LOCKS)
    assert run.items() <= demo.items() <= test.items()

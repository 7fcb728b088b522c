"""Tests of auditor.assets, in the checkout. tests/contract/test_wheel.py asks an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor import assets
from auditor.errors import HostError


def test_probes_of_a_checkout(root: Path) -> None:
    """In a checkout the probes are in bpf/ beside the package."""
    assert assets.probes() == root / "bpf"
    assert (assets.probes() / "wire.h").is_file()


def test_rules_of_a_checkout(root: Path) -> None:
    """In a checkout the rule pack is rules/ beside the package."""
    assert assets.rules() == root / "rules"
    assert assets.default_rules() == root / "rules" / "core"


def test_missing_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without its files says in one line which folder is missing."""
    monkeypatch.setattr(assets, "__file__", str(tmp_path / "assets.py"))
    with pytest.raises(
        HostError, match=rf"^auditor is not whole: {tmp_path}/_assets/bpf is missing; install it again$"
    ):
        assets.probes()

"""Cgroups by id."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.host import cgroups, mounts
from auditor.host.cgroups import Root, Subtree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def root() -> Iterator[Root]:
    """Hold the hierarchy's root open."""
    opened = Root()
    yield opened
    opened.close()


@pytest.fixture
def nest() -> Iterator[str]:
    """Make a cgroup with one in it, and give the outer one's path below the root."""
    mount = mounts.cgroup_mount()
    if mount is None:
        pytest.skip("cgroup v2 is mounted nowhere here")
    outer = mount / f"auditor-test-{os.getpid()}"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    yield f"/{outer.name}"
    inner.rmdir()
    outer.rmdir()


def test_id_is_the_directory_s_inode(root: Root, nest: str) -> None:
    """A cgroup's id is its directory's inode number, by its path in the hierarchy or in the file system."""
    mount = mounts.cgroup_mount()
    path = Path(f"{mount}{nest}")
    assert root.id_of(nest) == root.id_of(str(path)) == path.stat().st_ino


def test_process_has_its_cgroup(root: Root) -> None:
    """A living process has a cgroup, one that is gone has none."""
    assert root.id_of_process(os.getpid()) > 0
    assert root.id_of_process(2**22 + 1) == 0


@pytest.mark.parametrize("path", ["/../../etc", "..", "/no/such", "/cgroup.procs/x", "/a\0b"])
def test_paths_stay_inside(root: Root, path: str) -> None:
    """A path that climbs, or leads nowhere, is no other directory of the host."""
    assert root.id_of(path) in {0, root.id_of("/")}


def test_subtree_has_what_is_below(root: Root, nest: str) -> None:
    """A subtree has its top and what is in it, and not what is above."""
    subtree = Subtree(nest)
    assert subtree.contains(root.id_of(nest))
    assert subtree.contains(root.id_of(f"{nest}/inner"))
    assert not subtree.contains(root.id_of("/"))


def test_subtree_sees_later_cgroups(root: Root, nest: str) -> None:
    """A cgroup made after the subtree was first asked is found."""
    subtree = Subtree(nest)
    assert not subtree.contains(2**60)
    later = Path(f"{mounts.cgroup_mount()}{nest}/later")
    later.mkdir()
    try:
        assert subtree.contains(later.stat().st_ino)
    finally:
        later.rmdir()


def test_subtree_remembers_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of ids is bounded; the one not asked about for longest goes."""
    monkeypatch.setattr(cgroups, "KNOWN_LIMIT", 3)
    subtree = Subtree("/no/such/cgroup")
    for number in (1, 2, 3, 1, 4):
        subtree.contains(number)
    assert list(subtree._known) == [3, 1, 4]

"""File systems of the kernel, mounted or not."""

import os
from pathlib import Path

import pytest

from auditor.errors import HostError
from auditor.host import mounts, procfs

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def names(fd: int) -> list[str]:
    """List an open directory and close it."""
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def test_cgroup_root_is_the_whole_hierarchy() -> None:
    """Where cgroup v2 is mounted, its root has the controller files and no limits."""
    path = mounts.cgroup_mount()
    if path is None:
        pytest.skip("cgroup v2 is mounted nowhere here")
    assert (path / "cgroup.controllers").exists()


@needs_root
def test_cgroup_root_opens_mounted_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hierarchy opens by its mount, and without one as well; both are the same directory."""
    attached = mounts.open_cgroup_root()
    monkeypatch.setattr(mounts, "cgroup_mount", lambda: None)
    loose = mounts.open_cgroup_root()
    assert os.fstat(attached).st_ino == os.fstat(loose).st_ino
    assert names(attached)
    assert "cgroup.procs" in names(loose)


@needs_root
def test_tracefs_opens_mounted_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracefs opens where it is mounted, and where it is not."""
    assert "events" in names(mounts.open_tracefs())
    monkeypatch.setattr(mounts, "_TRACEFS", ())
    assert "events" in names(mounts.open_tracefs())


@needs_root
def test_detached_mount_changes_nothing() -> None:
    """A file system that is opened detached appears in no mount table."""
    before = list(procfs.mounts())
    fd = mounts.detached("tmpfs")
    assert list(procfs.mounts()) == before
    assert names(fd) == []


def test_unknown_file_system_is_one_clear_line() -> None:
    """What the kernel does not have, or does not let open, is a host error that names it."""
    with pytest.raises(HostError, match=r"^cannot reach nosuchfs: [^\n]+$"):
        mounts.detached("nosuchfs")


def test_mounts_are_read_whole() -> None:
    """The mount table has the root and /proc, with their kinds."""
    found = {mount.path: mount.kind for mount in procfs.mounts()}
    assert found["/proc"] == "proc"
    assert Path("/").is_mount()
    assert "/" in found

"""Shedding privileges, in a child that is thrown away."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import HostError
from auditor.host.privileges import die_with_parent, drop_privileges

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


def in_child(work: Callable[[], str]) -> str:
    """Run something in a child process and give what it says, or its error."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001 - the parent is told
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


def status() -> dict[str, list[str]]:
    """Read this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


@needs_root
def test_nothing_is_left() -> None:
    """Ids, groups and every set of capabilities are given up, in all places where they are kept."""

    def drop() -> str:
        drop_privileges(NOBODY, NOBODY)
        found = status()
        capabilities = {found[name][0].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        return repr((set(found["Uid"]), set(found["Gid"]), found["Groups"], capabilities, found["NoNewPrivs"]))

    assert in_child(drop) == repr(({"65534"}, {"65534"}, [], {""}, ["1"]))


@needs_root
def test_there_is_no_way_back() -> None:
    """Root cannot be had again."""

    def drop_and_climb() -> str:
        drop_privileges(NOBODY, NOBODY)
        os.setuid(0)
        return "root again"

    assert in_child(drop_and_climb).startswith("PermissionError")


@needs_root
def test_no_core_is_dumped() -> None:
    """What the process held as root cannot be read out of it by its new user."""

    def drop() -> str:
        drop_privileges(NOBODY, NOBODY)
        return str(Path("/proc/self/mem").stat().st_uid)

    assert in_child(drop) == "0"


@needs_root
def test_ordinary_user_cannot_change_ids() -> None:
    """Who is not root gets an error that says what to do, not a half change."""

    def drop_twice() -> str:
        drop_privileges(NOBODY, NOBODY)
        drop_privileges(1, 1)
        return "changed"

    assert in_child(drop_twice) == f"{HostError.__name__}: cannot become uid 1 and gid 1: run as root"


def test_orphan_dies_with_its_parent() -> None:
    """A process that asked for it is killed when its parent ends."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        parent = os.getpid()
        grandchild = os.fork()
        if grandchild == 0:
            os.close(reader)
            die_with_parent(parent)
            os.write(writer, b"ready")
            signal.pause()
        os.read(reader, 5)
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b""  # ends when the last writer, the grandchild, is gone

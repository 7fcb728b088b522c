"""The probes in place: what user space sets and asks. What they tell of processes is tested scenario by scenario."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor import assets
from auditor.errors import HostError
from auditor.kernel.catalog import HOOKS, LIMITS, Hook
from auditor.kernel.image import Loaded
from auditor.kernel.loader import Loader
from auditor.kernel.probes import AGENT, CALL_ROOT, Label, Probes, tracepoint_id, try_hook
from auditor.kernel.store import Store
from auditor.model.records import LabelSource
from tests.kernel.watching import Watch, become, fork, wait

NOBODY = 0x7FFFFFF0
"""No pid comes near it."""


def test_labels_are_set_and_removed(probes: Probes) -> None:
    """A label is there, whole, from set to removal, on its own and among all."""
    label = Label(2**63, 2**62, 2**31, 2**32 - 1, LabelSource.SELECTED, AGENT | CALL_ROOT)
    assert probes.label(NOBODY) is None
    probes.set_label(NOBODY, label)
    assert probes.label(NOBODY) == label
    assert dict(probes.labels())[NOBODY] == label
    probes.remove_label(NOBODY)
    probes.remove_label(NOBODY)
    assert probes.label(NOBODY) is None
    assert NOBODY not in dict(probes.labels())


def test_tracked_counts_living_processes(watch: Watch) -> None:
    """The number of tracked processes goes up at fork and down at exit, however they end."""
    release, hold = os.pipe()
    before = watch.probes.tracked()
    pid = watch.call(lambda: ([fork(lambda: os.read(release, 1)) for _ in range(3)], os.read(release, 1), wait_all()))
    watch.until(lambda _: len(watch.forks()) == 4)
    assert watch.probes.tracked() == before + 4
    os.write(hold, b"!!!!")
    watch.finish(pid)
    assert watch.probes.tracked() == before
    os.close(release)
    os.close(hold)


def wait_all() -> None:
    """Wait for three children."""
    for _ in range(3):
        os.wait()


def test_tracked_can_be_negative(watch: Watch) -> None:
    """Processes that user space labelled are not counted up, only down."""
    before = watch.probes.tracked()
    release, hold = os.pipe()
    pid = watch.untracked(lambda: os.read(release, 1))
    watch.probes.set_label(pid, Label(0, 0, 0, watch.session, LabelSource.SEEDED, AGENT))
    os.write(hold, b"!")
    watch.finish(pid)
    assert watch.probes.tracked() == before - 1
    os.close(release)
    os.close(hold)


def test_nothing_is_lost_when_all_is_read(watch: Watch) -> None:
    """Losses that did not happen are not listed."""
    before = watch.probes.losses()
    watch.finish(watch.call(lambda: wait(fork(lambda: become(["/bin/true"])))))
    assert watch.probes.losses() == before
    assert all(before.values())


def open_descriptors() -> set[str]:
    """List this process's descriptors."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.function)
def test_every_hook_can_be_tried(loaded: Loaded, cgroup_root: int, tracefs: int, hook: Hook) -> None:
    """Each hook attaches and detaches, beside those that stand, and no descriptor stays behind."""
    before = open_descriptors()
    try_hook(hook, loaded.programs[hook.function], tracefs if hook.kind == "tracepoint" else cgroup_root)
    assert open_descriptors() == before


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.function)
def test_hook_in_the_wrong_place_is_refused(loaded: Loaded, tmp_path: Path, hook: Hook) -> None:
    """A hook that cannot be attached names itself and what the kernel says."""
    nowhere = os.open(tmp_path, os.O_RDONLY)
    wrong = hook._replace(target=f"no_such/{hook.target}") if hook.kind != "cgroup" else hook
    with pytest.raises(HostError, match=rf"cannot attach .*{hook.target.rpartition('/')[2]}"):
        try_hook(wrong, loaded.programs[hook.function], nowhere)
    os.close(nowhere)


def test_refused_hook_is_named(cgroup_root: int, store: Store) -> None:
    """Probes of which the kernel refused one are not used: the message says what is missing, and why."""
    loaded = Loader(assets.probes(), store=store).finish()
    try:
        refused = loaded._replace(refused={"on_connect6": "Permission denied"})
        with pytest.raises(HostError, match="the kernel refuses the probe for connect over IPv6: Permission denied"):
            Probes(refused, cgroup_root)
    finally:
        for fd in (*loaded.programs.values(), *loaded.maps.values()):
            os.close(fd)


def test_closed_probes_see_nothing(cgroup_root: int, tracefs: int, store: Store) -> None:
    """Closing detaches every hook; the programs can be attached again."""
    loaded = Loader(assets.probes(), store=store).finish()
    for _ in range(2):
        probes = Probes(loaded, cgroup_root, LIMITS)
        probes.watch_ioctl(tracefs)
        watch = Watch(probes)
        watch.finish(watch.call(lambda: None))
        assert len(watch.events) == 2
        probes.close()
        assert held_by(probes) == []
    for fd in (*loaded.programs.values(), *loaded.maps.values()):
        os.close(fd)


def held_by(probes: Probes) -> list[int]:
    """Give what still holds a hook in place."""
    return list(probes._held.values())


def test_missing_tracepoint_is_told(loaded: Loaded, cgroup_root: int, tmp_path: Path) -> None:
    """Where tracefs lacks a tracepoint, the error names it."""
    probes = Probes(loaded, cgroup_root)
    empty = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(HostError, match="cannot attach to the tracepoint syscalls/sys_enter_ioctl: No such file"):
        probes.watch_ioctl(empty)
    assert not probes.watching_ioctl()
    os.close(empty)
    probes.close()


def test_tracepoint_numbers(tracefs: int) -> None:
    """A tracepoint's number is read from tracefs; each has its own."""
    names = ("syscalls/sys_enter_ioctl", "syscalls/sys_exit_ioctl")
    numbers = {tracepoint_id(tracefs, name) for name in names}
    assert len(numbers) == 2
    assert all(number > 0 for number in numbers)

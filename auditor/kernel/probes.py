"""The probes in place: attached, labelled, counted, read.

`Probes` owns every descriptor that holds something in the kernel. When the process that has it ends, in whatever way,
all of it is gone.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from auditor.errors import HostError
from auditor.kernel import bpf
from auditor.kernel.catalog import GAUGES, HOOKS, LIMITS, Hook
from auditor.kernel.image import Loaded
from auditor.kernel.ring import Ring

_LABEL: Final = struct.Struct("<QQIIII")  # struct label in bpf/prelude.c
_COUNT_KEY: Final = struct.Struct("<IIII")  # struct gpu_count_key in bpf/gpu.c
_COUNT: Final = struct.Struct("<QQQQIIII")  # struct gpu_count
_SETTING_CANDIDATES: Final = 0

AGENT: Final = 1 << 0
CALL_ROOT: Final = 1 << 1
HOLDS_GPU: Final = 1 << 2
"""Label bits: `enum label_bit` in bpf/prelude.c."""


class Label(NamedTuple):
    """Whom a process is charged to, as the kernel keeps it: `struct label`."""

    start_ns: int
    call_start_ns: int
    call_tgid: int
    session: int
    source: int
    bits: int


class GpuCount(NamedTuple):
    """Ioctls of one process with one request on one device, since the last time they were asked for."""

    tgid: int
    rdev: int
    request: int
    role: int
    calls: int
    errors: int
    start_ns: int
    call_start_ns: int
    call_tgid: int
    session: int
    source: int


class Probes:
    """Loaded probes, attached where they belong."""

    def __init__(self, loaded: Loaded, cgroup_root: int, limits: Mapping[str, int] = LIMITS) -> None:
        """Attach the standing hooks.

        `cgroup_root` is a descriptor of the cgroup v2 tree's root, which stays the caller's. `limits` are those that
        the probes were compiled with.

        Raises:
            HostError: a hook that must stand was refused.

        """
        self._programs = loaded.programs
        self._held: dict[str, int] = {}
        self._tracepoint_ids: dict[str, int] = {}
        self._watching = threading.Lock()
        maps = loaded.maps
        self.ring = Ring(maps["ring"], limits["RING_PAGES"] * mmap.PAGESIZE)
        self._label_limit = limits["LABELS"]
        self._labels = bpf.Map(maps["labels"], 4, _LABEL.size)
        self._settings = bpf.Map(maps["settings"], 4, 8)
        self._devices = bpf.Map(maps["gpu_devices"], 4, 4)
        self._counted: dict[bytes, tuple[int, int]] = {}
        """Calls and errors told so far, by key of the kernel's table."""
        self._counts = bpf.Map(maps["gpu_counts"], _COUNT_KEY.size, _COUNT.size)
        self._gauge_page = mmap.mmap(maps["gauges"], mmap.PAGESIZE, prot=mmap.PROT_READ)
        self._gauges = memoryview(self._gauge_page).cast("Q")
        for hook in HOOKS:
            if hook.function in loaded.refused:
                raise HostError(f"the kernel refuses the probe for {hook.yields}: {loaded.refused[hook.function]}")
            if hook.standing:
                self._held[hook.function] = attach(hook, self._programs[hook.function], cgroup_root)

    # ---- labels ----

    def set_label(self, tgid: int, label: Label) -> None:
        """Track the process `tgid`.

        Raises:
            HostError: as many processes are tracked as the table holds.

        """
        try:
            self._labels.set(struct.pack("<I", tgid), _LABEL.pack(*label))
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise HostError(f"more than {self._label_limit} processes are tracked; name fewer agents") from error
            raise

    def label(self, tgid: int) -> Label | None:
        """Return the label of a tracked process."""
        value = self._labels.get(struct.pack("<I", tgid))
        return None if value is None else Label(*_LABEL.unpack(value))

    def remove_label(self, tgid: int) -> None:
        """Track the process no longer."""
        self._labels.delete(struct.pack("<I", tgid))

    def labels(self) -> Iterator[tuple[int, Label]]:
        """Go through all tracked processes."""
        for key, value in self._labels.items():
            yield struct.unpack("<I", key)[0], Label(*_LABEL.unpack(value))

    def show_candidates(self, wanted: bool) -> None:
        """Have untracked execs shown (kind CANDIDATE), or no longer."""
        self._settings.set(struct.pack("<I", _SETTING_CANDIDATES), struct.pack("<Q", int(wanted)))

    # ---- counters ----

    def tracked(self) -> int:
        """How many processes the kernel put under watch by fork, less those that ended; user space adds its own."""
        value = self._gauges[0]
        return value - (1 << 64) if value >> 63 else value

    def losses(self) -> Mapping[str, int]:
        """Count what was lost since the probes were loaded, by what; only what is not zero."""
        return {name: self._gauges[index] for index, name in enumerate(GAUGES) if index and self._gauges[index]}

    def loss_count(self) -> int:
        """Add up all that was lost."""
        return sum(self._gauges[1 : len(GAUGES)])

    # ---- GPU ----

    def set_devices(self, devices: Iterable[tuple[int, int]]) -> None:
        """Say which device numbers are GPUs: (dev_t as the kernel packs it, role of bpf/wire.h)."""
        for rdev, role in devices:
            self._devices.set(struct.pack("<I", rdev), struct.pack("<I", role))

    def watch_ioctl(self, tracefs: int) -> None:
        """Attach the hooks that see ioctls; `tracefs` is a descriptor of that file system's root. 0.4 ms each.

        Raises:
            HostError: the tracepoint is not there, or the kernel refuses.

        """
        with self._watching:
            for hook in HOOKS:
                if hook.standing or hook.function in self._held:
                    continue
                try:
                    number = self._tracepoint_ids.get(hook.target) or tracepoint_id(tracefs, hook.target)
                    self._tracepoint_ids[hook.target] = number
                    self._held[hook.function] = bpf.attach_tracepoint(self._programs[hook.function], number)
                except OSError as error:
                    raise HostError(f"cannot attach to the tracepoint {hook.target}: {error.strerror}") from error

    def unwatch_ioctl(self) -> None:
        """Detach them. Takes 70 ms each, in which the kernel waits for every CPU: call it off the reading thread."""
        with self._watching:
            for hook in HOOKS:
                if not hook.standing and hook.function in self._held:
                    os.close(self._held.pop(hook.function))

    def watching_ioctl(self) -> bool:
        """Whether they are attached."""
        return any(not hook.standing and hook.function in self._held for hook in HOOKS)

    def drain_gpu_counts(self) -> Iterator[GpuCount]:
        """Take the counts of ioctls since the last time.

        The kernel's own counts only grow, and are removed when their process has ended: what is removed while another
        CPU counts on it would be lost.
        """
        for key, value in self._counts.items():
            count = _COUNT.unpack(value)
            calls, errors = self._counted.get(key, (0, 0))
            if count[0] > calls:
                fresh = (count[0] - calls, count[1] - errors)
                yield GpuCount._make((*_COUNT_KEY.unpack(key), *fresh, *count[2:7]))
            if self.label(_COUNT_KEY.unpack(key)[0]) is None:
                self._counts.delete(key)
                self._counted.pop(key, None)
            else:
                self._counted[key] = count[:2]

    def detach(self) -> None:
        """Take all hooks off; what they wrote stays to be read."""
        self.unwatch_ioctl()
        while self._held:
            os.close(self._held.popitem()[1])

    def close(self) -> None:
        """Detach and let go of everything."""
        self.detach()
        self._gauges.release()
        self.ring.close()


def attach(hook: Hook, program: int, cgroup_root: int) -> int:
    """Attach one standing hook; returns the descriptor that holds it.

    Raises:
        HostError: the kernel refuses.

    """
    try:
        if hook.kind == "raw_tracepoint":
            return bpf.attach_raw_tracepoint(program, hook.target)
        return bpf.attach_cgroup(program, cgroup_root, hook.attach)
    except OSError as error:
        raise HostError(f"cannot attach the probe for {hook.yields} ({hook.target}): {error.strerror}") from error


def tracepoint_id(tracefs: int, name: str) -> int:
    """Return the number that perf_event_open(2) wants for a tracepoint such as `syscalls/sys_enter_ioctl`."""
    fd = os.open(f"events/{name}/id", os.O_RDONLY | os.O_CLOEXEC, dir_fd=tracefs)
    try:
        return int(os.read(fd, 32))
    finally:
        os.close(fd)


def try_hook(hook: Hook, program: int, place: int) -> None:
    """Attach a hook and detach it again; `place` is a descriptor of the cgroup root, or of tracefs for a tracepoint.

    Raises:
        HostError: the kernel refuses.

    """
    try:
        held = (
            bpf.attach_tracepoint(program, tracepoint_id(place, hook.target))
            if hook.kind == "tracepoint"
            else attach(hook, program, place)
        )
    except OSError as error:
        raise HostError(f"cannot attach to the tracepoint {hook.target}: {error.strerror}") from error
    os.close(held)

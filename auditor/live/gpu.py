"""Watching the ioctls of GPU devices, for as long as a watched process holds one and no longer.

The hooks for it cost every system call on the host something, so they are attached when a GPU is opened and taken off
when its last holder is gone. What is asked of a device is counted in the kernel and told once an interval.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from auditor.decode.encode import encode_gpu_summary
from auditor.errors import HostError
from auditor.host import mounts
from auditor.kernel.probes import HOLDS_GPU, GpuCount, Probes
from auditor.live.sessions import now
from auditor.model.records import Kind

HOLDERS_NS: Final = 2_000_000_000
"""Between two checks whether anyone still holds a GPU."""
SUMMARY_REQUESTS: Final = 32
"""Requests that a summary names; the others are added up."""


class GpuWatch:
    """The hooks that come and go, and the summaries."""

    def __init__(
        self,
        probes: Probes,
        emit: Callable[[bytes], None],
        count_loss: Callable[[str, int], None],
        interval_ns: int,
    ) -> None:
        """`emit` takes frames, `count_loss` what was lost and how many; a summary is told every `interval_ns`."""
        self._probes = probes
        self._emit = emit
        self._count_loss = count_loss
        self._interval_ns = interval_ns
        self._next_holders = 0
        self._last_summary = now()
        self._detaching: threading.Thread | None = None
        self._tracefs: int | None = None

    def opened(self) -> None:
        """See to it that ioctls are watched, now that a watched process holds a GPU."""
        self._next_holders = now() + HOLDERS_NS
        self.settle()
        if self._probes.watching_ioctl():
            return
        try:
            if self._tracefs is None:
                self._tracefs = mounts.open_tracefs()
            self._probes.watch_ioctl(self._tracefs)
        except HostError:
            self._count_loss("gpu.unwatched", 1)
        self._last_summary = now()

    def step(self, time_ns: int) -> None:
        """Do what is due at this time."""
        if not self._probes.watching_ioctl():
            return
        if time_ns >= self._last_summary + self._interval_ns:
            self.summarise()
        if time_ns >= self._next_holders:
            self._check_holders(time_ns)

    def summarise(self) -> None:
        """Put the counts of ioctls since the last time into the stream, a record for each process and device."""
        time_ns = now()
        interval_ns, self._last_summary = time_ns - self._last_summary, time_ns
        grouped: dict[tuple[int, int, int, int], list[GpuCount]] = {}
        for count in self._probes.drain_gpu_counts():
            grouped.setdefault((count.tgid, count.start_ns, count.rdev, count.role), []).append(count)
        for counts in grouped.values():
            self._emit(_summary(counts, time_ns, interval_ns))

    def settle(self) -> None:
        """Wait until hooks that are being taken off are off."""
        if self._detaching is not None:
            self._detaching.join()
            self._detaching = None

    def close(self) -> None:
        """Let go of what is held open."""
        self.settle()
        if self._tracefs is not None:
            os.close(self._tracefs)
            self._tracefs = None

    def _check_holders(self, time_ns: int) -> None:
        self._next_holders = time_ns + HOLDERS_NS
        if any(label.bits & HOLDS_GPU for _, label in self._probes.labels()):
            return
        self.summarise()
        # Detaching waits for every CPU: 70 ms a hook, in which the ring would not be read.
        self.settle()
        self._detaching = threading.Thread(target=self._probes.unwatch_ioctl, name="detach")
        self._detaching.start()


def _summary(counts: list[GpuCount], time_ns: int, interval_ns: int) -> bytes:
    first = counts[0]
    header = (
        Kind.GPU_SUMMARY, 0, first.tgid, time_ns, first.start_ns, first.tgid, first.session, first.call_start_ns,
        first.call_tgid, first.source,
    )  # fmt: skip
    ranked = sorted(((count.request, count.calls) for count in counts), key=lambda pair: (-pair[1], pair[0]))
    shown = ranked[:SUMMARY_REQUESTS]
    rest = sum(calls for _, calls in ranked[SUMMARY_REQUESTS:])
    return encode_gpu_summary(
        header,
        rdev=first.rdev,
        role=first.role,
        interval_ns=interval_ns,
        total=sum(count.calls for count in counts),
        errors=sum(count.errors for count in counts),
        requests=[*shown, *([("other", rest)] if rest else [])],
    )

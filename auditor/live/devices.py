"""The GPU devices of this host as the kernel's table wants them, kept up to date."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from auditor.host.devices import ANY, gpu_devices
from auditor.host.inodes import kernel_device
from auditor.kernel.probes import Probes

ANY_MINOR: Final = 0xFFFFF
"""Stands for every minor in the kernel's table: ANY_MINOR in bpf/gpu.c."""


class DeviceTable:
    """Roles of device numbers.

    Drivers may come later (nvidia-uvm is often loaded at first use): `refresh()` now and then.
    """

    def __init__(self, probes: Probes, stand_ins: Iterable[tuple[int, int]] = ()) -> None:
        """`stand_ins` are (dev_t, role) of devices that play a GPU."""
        self._probes = probes
        self._roles: dict[int, int] = {}
        self._set(dict(stand_ins))
        self.refresh()

    def refresh(self) -> None:
        """Look at the drivers again and tell the kernel of new ones."""
        found = gpu_devices().items()
        self._set(
            {kernel_device(major, ANY_MINOR if minor == ANY else minor): int(role) for (major, minor), role in found}
        )

    def is_gpu(self, rdev: int) -> bool:
        """Whether this device number is a GPU's."""
        return bool(self._roles.get(rdev, self._roles.get(rdev | ANY_MINOR, 0)))

    def _set(self, roles: dict[int, int]) -> None:
        fresh = {rdev: role for rdev, role in roles.items() if self._roles.get(rdev) != role}
        if fresh:
            self._probes.set_devices(fresh.items())
            self._roles.update(fresh)

"""Which device numbers are GPUs, by what the drivers registered; a node's path proves nothing."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from auditor.host import procfs

ANY: Final = -1
"""Stands for every minor of a major that has no entry of its own."""


class GpuRole(IntEnum):
    """What a device node is for: `enum gpu_role` of bpf/wire.h."""

    NONE = 0
    CTL = 1
    GPU = 2
    UVM = 3
    KFD = 4
    RENDER = 5
    ACCEL = 6
    CAPS = 7


# Majors that never move. 195 is from NVIDIA's open kernel modules (nv-chardev-numbers.h), with 254 for display settings
# and 255 for the control node among its minors; 226 and 261 are DRM_MAJOR and ACCEL_MAJOR of Linux.
_FIXED: Final = {
    (195, ANY): GpuRole.GPU,
    (195, 254): GpuRole.NONE,
    (195, 255): GpuRole.CTL,
    (226, ANY): GpuRole.RENDER,
    (261, ANY): GpuRole.ACCEL,
}

# Majors that the kernel hands out when the driver loads, by the name that the driver registers.
_DYNAMIC: Final = {
    "nvidia-uvm": GpuRole.UVM,
    "nvidia-caps": GpuRole.CAPS,
    "kfd": GpuRole.KFD,
}


def gpu_devices() -> dict[tuple[int, int], GpuRole]:
    """Return the roles of GPU devices by (major, minor or ANY); an exact entry goes before ANY.

    Ask again now and then: nvidia-uvm is often loaded only when CUDA is first used.
    """
    devices = dict(_FIXED)
    for name, major in procfs.character_devices():
        if name in _DYNAMIC:
            devices[major, ANY] = _DYNAMIC[name]
    return devices

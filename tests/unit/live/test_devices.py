"""The table of GPU devices that the kernel is given."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.host.devices import GpuRole
from auditor.live.devices import ANY_MINOR, DeviceTable


class Table:
    """Keeps what the kernel would."""

    def __init__(self) -> None:
        self.roles: dict[int, int] = {}
        self.updates = 0

    def set_devices(self, devices: Iterable[tuple[int, int]]) -> None:
        """Take devices in."""
        self.roles.update(devices)
        self.updates += 1


def rdev(major: int, minor: int) -> int:
    """Give the kernel's number of a device."""
    return major << 20 | minor


def test_fixed_devices_are_there_at_once() -> None:
    """NVIDIA's nodes and render nodes are known without any driver, by their minor or by any."""
    kernel = Table()
    table = DeviceTable(kernel)  # type: ignore[arg-type]
    assert kernel.roles[rdev(195, ANY_MINOR)] == GpuRole.GPU
    assert kernel.roles[rdev(195, 255)] == GpuRole.CTL
    assert table.is_gpu(rdev(195, 0))
    assert table.is_gpu(rdev(195, 255))
    assert table.is_gpu(rdev(226, 128))
    assert not table.is_gpu(rdev(195, 254))  # display settings
    assert not table.is_gpu(rdev(1, 3))


def test_stand_ins_play_gpus() -> None:
    """Devices given as stand-ins count like the real ones."""
    kernel = Table()
    table = DeviceTable(kernel, [(rdev(1, 7), GpuRole.CTL)])  # type: ignore[arg-type]
    assert kernel.roles[rdev(1, 7)] == GpuRole.CTL
    assert table.is_gpu(rdev(1, 7))


def test_kernel_is_told_of_changes_only() -> None:
    """Looking again at drivers that are the same touches nothing."""
    kernel = Table()
    table = DeviceTable(kernel)  # type: ignore[arg-type]
    updates = kernel.updates
    table.refresh()
    assert kernel.updates == updates

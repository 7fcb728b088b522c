"""GPU devices by number."""

import pytest

from auditor.decode.names import ROLES
from auditor.host import devices, procfs
from auditor.host.devices import ANY, GpuRole, gpu_devices


def test_fixed_numbers_are_always_known() -> None:
    """NVIDIA's, DRM's and the accelerators' majors need no driver to be known."""
    known = gpu_devices()
    assert known[195, ANY] is GpuRole.GPU
    assert known[195, 255] is GpuRole.CTL
    assert known[195, 254] is GpuRole.NONE
    assert known[226, ANY] is GpuRole.RENDER
    assert known[261, ANY] is GpuRole.ACCEL


def test_loaded_drivers_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Majors that the kernel hands out are those of the names in /proc/devices; names alike do not count."""
    listed = [("nvidia-uvm", 510), ("nvidia-caps", 511), ("kfd", 234), ("nvidia-nvswitch", 512), ("nvidia", 195)]
    monkeypatch.setattr(procfs, "character_devices", lambda: listed)
    known = gpu_devices()
    assert {key: role for key, role in known.items() if key not in devices._FIXED} == {
        (510, ANY): GpuRole.UVM,
        (511, ANY): GpuRole.CAPS,
        (234, ANY): GpuRole.KFD,
    }


def test_roles_have_one_meaning() -> None:
    """The roles' numbers are those that decoding names."""
    assert {role.value: role.name.lower() for role in GpuRole} == ROLES

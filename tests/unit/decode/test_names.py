"""Names of numbers."""

from __future__ import annotations

import pytest

from auditor.decode import names


@pytest.mark.parametrize(
    ("role", "number", "expected"),
    [
        (1, 0xC020462A, "NV_ESC_RM_CONTROL"),
        (2, 0xC030462B, "NV_ESC_RM_ALLOC"),
        (1, 0xC0FF462B, "NV_ESC_RM_ALLOC"),
        (3, 0x30000001, "UVM_INITIALIZE"),
        (3, 27, "UVM_REGISTER_CHANNEL"),
        (3, 0x12345, "0x12345"),
        (4, 0xC0604B02, "AMDKFD_IOC_CREATE_QUEUE"),
        (4, 0xC0584B02, "AMDKFD_IOC_CREATE_QUEUE"),
        (5, 0xC0406440, "0xc0406440"),
        (1, 0xC0204601, "0xc0204601"),
        (99, 5, "0x5"),
    ],
)
def test_request(role: int, number: int, expected: str) -> None:
    """A request is named by what its driver looks at: the low byte, or for UVM the whole number."""
    assert names.request(role, number) == expected


@pytest.mark.parametrize(
    ("role", "major", "minor", "expected"),
    [
        (1, 195, 255, "/dev/nvidiactl"),
        (2, 195, 3, "/dev/nvidia3"),
        (2, 195, 254, "/dev/nvidia-modeset"),
        (3, 510, 0, "/dev/nvidia-uvm"),
        (3, 510, 1, "/dev/nvidia-uvm-tools"),
        (4, 234, 0, "/dev/kfd"),
        (5, 226, 128, "/dev/dri/renderD128"),
        (5, 226, 0, "/dev/dri/card0"),
        (6, 261, 2, "/dev/accel/accel2"),
        (7, 236, 1, "/dev/nvidia-caps/nvidia-cap1"),
        (0, 1, 3, "1:3"),
    ],
)
def test_device(role: int, major: int, minor: int, expected: str) -> None:
    """A device has the path that its number usually has."""
    assert names.device(role, major, minor) == expected


def test_rdev_is_the_kernels_own() -> None:
    """The kernel's dev_t has twenty bits of minor."""
    assert names.split_rdev(0x0C3000FF) == (195, 255)


def test_access_and_transport() -> None:
    """Bits and protocol numbers have words; unknown protocols and roles stay numbers."""
    assert names.access(7) == "mknod,read,write"
    assert names.access(0) == ""
    assert [names.transport(number) for number in (6, 17, 200)] == ["tcp", "udp", "200"]
    assert [names.role(number) for number in (3, 77)] == ["uvm", "77"]

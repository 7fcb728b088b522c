"""Names of numbers that the kernel's records carry: GPU devices and their requests, transports, kinds of access."""

from __future__ import annotations

from typing import Final

ROLES: Final = {0: "none", 1: "ctl", 2: "gpu", 3: "uvm", 4: "kfd", 5: "render", 6: "accel", 7: "caps"}
"""`enum gpu_role` of bpf/wire.h."""

_TRANSPORTS: Final = {6: "tcp", 17: "udp", 1: "icmp", 58: "ipv6-icmp", 132: "sctp"}

_ACCESS: Final = ((1, "mknod"), (2, "read"), (4, "write"))  # BPF_DEVCG_ACC_* of linux/bpf.h

# NVIDIA open-gpu-kernel-modules 595.45.04: nv_escape.h, nv-ioctl-numbers.h, nv-ioctl-numa.h. The driver looks at the
# request's low byte and size only, and sizes change between releases: the low byte is the name.
_NVIDIA: Final = {
    0x27: "NV_ESC_RM_ALLOC_MEMORY",
    0x28: "NV_ESC_RM_ALLOC_OBJECT",
    0x29: "NV_ESC_RM_FREE",
    0x2A: "NV_ESC_RM_CONTROL",
    0x2B: "NV_ESC_RM_ALLOC",
    0x34: "NV_ESC_RM_DUP_OBJECT",
    0x35: "NV_ESC_RM_SHARE",
    0x39: "NV_ESC_RM_I2C_ACCESS",
    0x41: "NV_ESC_RM_IDLE_CHANNELS",
    0x4A: "NV_ESC_RM_VID_HEAP_CONTROL",
    0x4D: "NV_ESC_RM_ACCESS_REGISTRY",
    0x4E: "NV_ESC_RM_MAP_MEMORY",
    0x4F: "NV_ESC_RM_UNMAP_MEMORY",
    0x52: "NV_ESC_RM_GET_EVENT_DATA",
    0x54: "NV_ESC_RM_ALLOC_CONTEXT_DMA2",
    0x57: "NV_ESC_RM_MAP_MEMORY_DMA",
    0x58: "NV_ESC_RM_UNMAP_MEMORY_DMA",
    0x59: "NV_ESC_RM_BIND_CONTEXT_DMA",
    0x5C: "NV_ESC_RM_EXPORT_OBJECT_TO_FD",
    0x5D: "NV_ESC_RM_IMPORT_OBJECT_FROM_FD",
    0x5E: "NV_ESC_RM_UPDATE_DEVICE_MAPPING_INFO",
    0x5F: "NV_ESC_RM_LOCKLESS_DIAGNOSTIC",
    0xC8: "NV_ESC_CARD_INFO",
    0xC9: "NV_ESC_REGISTER_FD",
    0xCE: "NV_ESC_ALLOC_OS_EVENT",
    0xCF: "NV_ESC_FREE_OS_EVENT",
    0xD1: "NV_ESC_STATUS_CODE",
    0xD2: "NV_ESC_CHECK_VERSION_STR",
    0xD3: "NV_ESC_IOCTL_XFER_CMD",
    0xD4: "NV_ESC_ATTACH_GPUS_TO_FD",
    0xD6: "NV_ESC_SYS_PARAMS",
    0xD7: "NV_ESC_NUMA_INFO",
    0xD8: "NV_ESC_SET_NUMA_STATUS",
    0xD9: "NV_ESC_EXPORT_TO_DMABUF_FD",
    0xDA: "NV_ESC_WAIT_OPEN_COMPLETE",
}
# The same release: uvm_ioctl.h, uvm_linux_ioctl.h. These are plain numbers, not built by _IOC.
_UVM: Final = {
    0x30000001: "UVM_INITIALIZE",
    0x30000002: "UVM_DEINITIALIZE",
    23: "UVM_CREATE_RANGE_GROUP",
    24: "UVM_DESTROY_RANGE_GROUP",
    25: "UVM_REGISTER_GPU_VASPACE",
    26: "UVM_UNREGISTER_GPU_VASPACE",
    27: "UVM_REGISTER_CHANNEL",
    28: "UVM_UNREGISTER_CHANNEL",
    29: "UVM_ENABLE_PEER_ACCESS",
    33: "UVM_MAP_EXTERNAL_ALLOCATION",
    34: "UVM_FREE",
    37: "UVM_REGISTER_GPU",
    38: "UVM_UNREGISTER_GPU",
    39: "UVM_PAGEABLE_MEM_ACCESS",
    51: "UVM_MIGRATE",
    62: "UVM_TOOLS_READ_PROCESS_MEMORY",
    63: "UVM_TOOLS_WRITE_PROCESS_MEMORY",
    66: "UVM_UNMAP_EXTERNAL",
    68: "UVM_ALLOC_SEMAPHORE_POOL",
    73: "UVM_CREATE_EXTERNAL_RANGE",
    75: "UVM_MM_INITIALIZE",
}
# Linux, include/uapi/linux/kfd_ioctl.h: magic 'K'; argument sizes change, the number does not.
_KFD: Final = {
    0x01: "AMDKFD_IOC_GET_VERSION",
    0x02: "AMDKFD_IOC_CREATE_QUEUE",
    0x03: "AMDKFD_IOC_DESTROY_QUEUE",
    0x08: "AMDKFD_IOC_CREATE_EVENT",
    0x0C: "AMDKFD_IOC_WAIT_EVENTS",
    0x15: "AMDKFD_IOC_ACQUIRE_VM",
    0x16: "AMDKFD_IOC_ALLOC_MEMORY_OF_GPU",
    0x17: "AMDKFD_IOC_FREE_MEMORY_OF_GPU",
    0x18: "AMDKFD_IOC_MAP_MEMORY_TO_GPU",
    0x20: "AMDKFD_IOC_SVM",
    0x25: "AMDKFD_IOC_RUNTIME_ENABLE",
}
_REQUESTS: Final = {1: (_NVIDIA, 0xFF), 2: (_NVIDIA, 0xFF), 3: (_UVM, 0xFFFFFFFF), 4: (_KFD, 0xFF)}


def transport(protocol: int) -> str:
    """Return the name of an IP protocol number, or the number as text."""
    return _TRANSPORTS.get(protocol) or str(protocol)


def access(bits: int) -> str:
    """Return the kinds of access to a device, joined by commas."""
    return ",".join(word for bit, word in _ACCESS if bits & bit)


def role(number: int) -> str:
    """Return the name of a GPU role, or the number as text."""
    return ROLES.get(number) or str(number)


def request(role_number: int, number: int) -> str:
    """Return the name of an ioctl request on a device of that role, or the number in hexadecimal."""
    names, mask = _REQUESTS.get(role_number, ({}, 0))
    return names.get(number & mask) or f"0x{number:x}"


def device(role_number: int, major: int, minor: int) -> str:
    """Return the usual path of a device node.

    The numbers are those of the drivers: nv-chardev-numbers.h and uvm_common.h (NVIDIA), devices.txt and drm_accel.h
    (Linux). A role without a path of its own gives `MAJOR:MINOR`.
    """
    if role_number == 2:
        return "/dev/nvidia-modeset" if (major, minor) == (195, 254) else f"/dev/nvidia{minor}"
    if role_number == 3:
        return "/dev/nvidia-uvm-tools" if minor == 1 else "/dev/nvidia-uvm"
    if role_number == 5:
        return f"/dev/dri/renderD{minor}" if minor >= 128 else f"/dev/dri/card{minor}"
    fixed = {
        1: "/dev/nvidiactl",
        4: "/dev/kfd",
        6: f"/dev/accel/accel{minor}",
        7: f"/dev/nvidia-caps/nvidia-cap{minor}",
    }
    return fixed.get(role_number) or f"{major}:{minor}"


def split_rdev(rdev: int) -> tuple[int, int]:
    """Take the kernel's own dev_t apart into major and minor."""
    return rdev >> 20, rdev & 0xFFFFF

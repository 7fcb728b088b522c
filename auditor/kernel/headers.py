"""A stand-in for the kernel's headers, a few dozen lines long.

bcc compiles at run time and wants a kernel source tree, which training nodes rarely have. Of that tree it needs only a
handful of files, and the probes need only the integer types in them. `BCC_KERNEL_SOURCE` is pointed at what this module
writes; bcc brings its own copy of the BPF interface (uapi/linux/bpf.h), which is left in place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_INTEGERS: Final = """
#define CONFIG_BPF_SYSCALL 1
typedef signed char s8; typedef unsigned char u8;
typedef short s16; typedef unsigned short u16;
typedef int s32; typedef unsigned int u32;
typedef long long s64; typedef unsigned long long u64;
typedef s8 __s8; typedef u8 __u8;
typedef s16 __s16; typedef u16 __u16;
typedef s32 __s32; typedef u32 __u32;
typedef s64 __s64; typedef u64 __u64;
typedef u16 __be16; typedef u16 __le16; typedef u32 __be32; typedef u32 __le32; typedef u64 __be64; typedef u64 __le64;
typedef u32 __wsum; typedef u16 __sum16;
typedef unsigned long size_t; typedef long ssize_t; typedef unsigned long uintptr_t;
typedef _Bool bool;
#define true 1
#define false 0
#define __bitwise
#define __aligned_u64 u64 __attribute__((aligned(8)))
#define __force
#define __always_inline inline __attribute__((always_inline))
#define __user
"""

_CLASSES: Final = """
#define BPF_CLASS(code) ((code) & 0x07)
#define BPF_LD 0x00
#define BPF_LDX 0x01
#define BPF_ST 0x02
#define BPF_STX 0x03
#define BPF_ALU 0x04
#define BPF_JMP 0x05
#define BPF_RET 0x06
#define BPF_MISC 0x07
#define BPF_SIZE(code) ((code) & 0x18)
#define BPF_W 0x00
#define BPF_H 0x08
#define BPF_B 0x10
#define BPF_MODE(code) ((code) & 0xe0)
#define BPF_IMM 0x00
#define BPF_ABS 0x20
#define BPF_IND 0x40
#define BPF_MEM 0x60
#define BPF_OP(code) ((code) & 0xf0)
#define BPF_ADD 0x00
#define BPF_SUB 0x10
#define BPF_K 0x00
#define BPF_X 0x08
#define BPF_SRC(code) ((code) & 0x08)
"""

FILES: Final = {
    "include/linux/kconfig.h": _INTEGERS,
    "include/linux/types.h": "",
    "include/linux/bpf_common.h": _CLASSES,
    "include/uapi/linux/bpf_common.h": _CLASSES,
    "include/linux/version.h": "",  # written with the running kernel's version
    "include/uapi/linux/version.h": "",
    "include/linux/log2.h": "",
    "include/uapi/linux/types.h": "",
    "include/uapi/linux/bpf.h": "",  # bcc has included its own by then
    "include/uapi/linux/if_packet.h": "",
    "include/uapi/linux/ptrace.h": "",
    "arch/{arch}/include/asm/page.h": "#define PAGE_SHIFT 12\n#define PAGE_SIZE 4096\n",
}
"""Path to text; `{arch}` is the kernel's name of the architecture."""


def write_headers(directory: Path, release: str, machine: str) -> None:
    """Write the files below `directory` for a kernel `release` (uname -r) on a `machine` (uname -m)."""
    parts = [*release.partition("-")[0].split("."), "0", "0"][:3]
    major, minor, patch = (int("".join(c for c in part if c.isdigit()) or 0) for part in parts)
    version = (
        f"#define LINUX_VERSION_CODE {(major << 16) + (minor << 8) + min(patch, 255)}\n"
        "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))\n"
    )
    arch = {"x86_64": "x86", "aarch64": "arm64"}.get(machine, machine)
    for name, text in FILES.items():
        path = directory / name.format(arch=arch)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(version if name.endswith("version.h") else "#pragma once\n" + text)

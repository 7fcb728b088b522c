"""The stand-in for the kernel's headers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from auditor.kernel.headers import write_headers


def version_macros(directory: Path) -> dict[str, str]:
    """Read the macros of version.h."""
    text = (directory / "include/linux/version.h").read_text()
    return dict(re.findall(r"#define (\w+(?:\([^)]*\))?) (.+)", text))


@pytest.mark.parametrize(
    ("release", "code"),
    [
        ("6.18.44-fc-v595", 6 << 16 | 18 << 8 | 44),
        ("6.1.0-32-amd64", 6 << 16 | 1 << 8),
        ("5.10.0", 5 << 16 | 10 << 8),
        ("6.8", 6 << 16 | 8 << 8),
        ("4.19.325-microsoft", 4 << 16 | 19 << 8 | 255),
        ("6.12.0+", 6 << 16 | 12 << 8),
        ("6.9.0-rc3", 6 << 16 | 9 << 8),
        ("7", 7 << 16),
        ("strange", 0),
    ],
)
def test_version_is_the_kernels(tmp_path: Path, release: str, code: int) -> None:
    """LINUX_VERSION_CODE is what the kernel itself computes, with the patch level held to a byte."""
    write_headers(tmp_path, release, "x86_64")
    macros = version_macros(tmp_path)
    assert macros["LINUX_VERSION_CODE"] == str(code)
    assert "KERNEL_VERSION(a, b, c)" in macros


@pytest.mark.parametrize(("machine", "folder"), [("x86_64", "x86"), ("aarch64", "arm64"), ("riscv64", "riscv64")])
def test_architecture_goes_by_the_kernels_name(tmp_path: Path, machine: str, folder: str) -> None:
    """The page's header stands where the kernel's source has it for this architecture."""
    write_headers(tmp_path, "6.1.0", machine)
    assert [path.name for path in (tmp_path / "arch").iterdir()] == [folder]
    assert "PAGE_SIZE" in (tmp_path / "arch" / folder / "include/asm/page.h").read_text()


def test_writing_twice_is_writing_once(tmp_path: Path) -> None:
    """Headers may be written over older ones."""
    for release in ("5.10.0", "6.1.7"):
        write_headers(tmp_path, release, "x86_64")
    assert version_macros(tmp_path)["LINUX_VERSION_CODE"] == str(6 << 16 | 1 << 8 | 7)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler (apt-get install gcc libc6-dev)")
def test_integers_have_their_sizes(tmp_path: Path) -> None:
    """To a C compiler each integer type has the size and sign that its name says; files can be included twice."""
    write_headers(tmp_path, os.uname().release, "x86_64")
    sizes = "".join(
        f'_Static_assert(sizeof({u}s{bits}) == {bits // 8} && ({u}s{bits})-1 < 0, "");\n'
        f'_Static_assert(sizeof({u}u{bits}) == {bits // 8} && ({u}u{bits})-1 > 0, "");\n'
        for bits in (8, 16, 32, 64)
        for u in ("", "__")
    )
    source = tmp_path / "test.c"
    source.write_text(
        "#include <linux/kconfig.h>\n#include <linux/types.h>\n#include <linux/kconfig.h>\n"
        "#include <linux/version.h>\n#include <asm/page.h>\n" + sizes + "struct s { u8 byte; __aligned_u64 eight; };\n"
        '_Static_assert(sizeof(struct s) == 16, "");\n'
        '_Static_assert(sizeof(__be16) == 2 && sizeof(__be32) == 4 && sizeof(size_t) == 8 && PAGE_SIZE == 4096, "");\n'
        '_Static_assert(LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0), "");\n'
        "bool yes = true;\n"
    )
    subprocess.run(
        ["cc", "-nostdinc", "-ffreestanding", "-I", tmp_path / "include", "-I", tmp_path / "arch/x86/include",
         "-Wall", "-Werror", "-fsyntax-only", source],
        check=True,
    )  # fmt: skip

"""Offsets of members, read from type information built for the test and from that of the running kernel."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import HostError
from auditor.kernel.btf import VMLINUX, Btf, Offset, constants
from auditor.kernel.catalog import OFFSETS, SIZES

INT, POINTER, ARRAY, STRUCT, UNION, ENUM, TYPEDEF, CONST, FUNC_PROTO, VAR = 1, 2, 3, 4, 5, 6, 8, 10, 13, 14
MAGIC = 0xEB9F


class Builder:
    """Builds type information, a type after the other; each gets the next number from 1."""

    def __init__(self) -> None:
        self.types: list[bytes] = []
        self.strings = b"\0"

    def name(self, text: str) -> int:
        """Add a string, if it is not there yet, as in a kernel's; the empty one stands for no name."""
        if not text:
            return 0
        if f"\0{text}\0".encode() not in self.strings:
            self.strings += text.encode() + b"\0"
        return self.strings.index(f"\0{text}\0".encode()) + 1

    def add(self, kind: int, name: str = "", behind: int = 0, vlen: int = 0, tail: bytes = b"", flag: int = 0) -> int:
        """Add a type; gives its number."""
        self.types.append(struct.pack("<III", self.name(name), flag << 31 | kind << 24 | vlen, behind) + tail)
        return len(self.types)

    def integer(self, bits: int = 32) -> int:
        """Add an integer type."""
        return self.add(INT, f"int{bits}", bits // 8, tail=struct.pack("<I", bits))

    def struct(self, name: str, size: int, *members: tuple[str, int, int], kind: int = STRUCT, flag: int = 0) -> int:
        """Add a struct of members (name, type, offset in bits)."""
        tail = b"".join(struct.pack("<III", self.name(member), of, bits) for member, of, bits in members)
        return self.add(kind, name, size, len(members), tail, flag)

    def blob(self) -> bytes:
        """Give the whole: header, types, strings."""
        types = b"".join(self.types)
        header = struct.pack("<HBBIIIII", MAGIC, 1, 0, 24, 0, len(types), len(types), len(self.strings))
        return header + types + self.strings


def read(builder: Builder, *names: str) -> Btf:
    """Read what was built."""
    return Btf(builder.blob(), frozenset(names))


def test_members_and_size() -> None:
    """A member is found by name in the struct that was asked for, at its offset in bytes."""
    built = Builder()
    number = built.integer()
    built.struct("decoy", 8, ("first", number, 32))
    built.struct("wanted", 16, ("first", number, 0), ("second", number, 64))
    btf = read(built, "wanted")
    assert (btf.offset("wanted", "first"), btf.offset("wanted", "second"), btf.size("wanted")) == (0, 8, 16)
    assert (btf.offset("wanted", "third"), btf.offset("other", "first"), btf.size("other")) == (None, None, None)
    assert btf.offset("decoy", "first") is None


def test_members_of_anonymous_ones() -> None:
    """Members of anonymous structs and unions, also within each other, are found as if they stood in the outer one."""
    built = Builder()
    number = built.integer()
    inner = built.struct("", 16, ("deep", number, 96))
    union = built.struct("", 16, ("either", number, 0), ("", inner, 0), kind=UNION)
    built.struct("outer", 32, ("before", number, 0), ("", union, 64), ("after", number, 192))
    btf = read(built, "outer")
    assert [btf.offset("outer", name) for name in ("before", "either", "deep", "after")] == [0, 8, 20, 24]


def test_members_of_members() -> None:
    """`a.b` is looked for in the type of a, whatever typedefs and qualifiers it goes by; not behind a pointer."""
    built = Builder()
    number = built.integer(64)
    time = built.struct("timespec", 16, ("tv_sec", number, 0), ("tv_nsec", number, 64))
    alias = built.add(CONST, "", built.add(TYPEDEF, "ktime", time))
    pointer = built.add(POINTER, "", time)
    built.struct("inode", 64, ("i_mtime", alias, 128), ("i_where", pointer, 256), ("i_plain", number, 320))
    btf = read(built, "inode")
    assert btf.offset("inode", "i_mtime.tv_nsec") == 24
    assert btf.offset("inode", "i_where.tv_nsec") is None
    assert btf.offset("inode", "i_plain.tv_nsec") is None
    assert btf.offset("inode", "i_mtime.tv_nsec.more") is None


def test_bitfields_beside() -> None:
    """In a struct with bit fields the offset's upper byte is a size, and no part of where a member stands."""
    built = Builder()
    number = built.integer()
    built.struct("flags", 16, ("bits", number, 3 << 24 | 5), ("behind", number, 32), ("wide", number, 64), flag=1)
    btf = read(built, "flags")
    assert [btf.offset("flags", name) for name in ("behind", "wide")] == [4, 8]


def test_types_of_every_length_are_stepped_over() -> None:
    """What stands between is stepped over, each kind by its own length."""
    built = Builder()
    number = built.integer()
    built.add(ARRAY, "", 0, tail=struct.pack("<III", number, number, 4))
    built.add(ENUM, "colour", 4, 3, struct.pack("<Ii", 0, 1) * 3)
    built.add(FUNC_PROTO, "", number, 2, struct.pack("<II", 0, number) * 2)
    built.add(VAR, "variable", number, tail=struct.pack("<I", 0))
    for kind, fixed, each in (
        (7, 0, 0),
        (9, 0, 0),
        (11, 0, 0),
        (12, 0, 0),
        (15, 0, 12),
        (16, 0, 0),
        (17, 4, 0),
        (18, 0, 0),
        (19, 0, 12),
    ):
        built.add(kind, f"kind{kind}", number, 2 if each else 0, bytes(fixed + 2 * each))
    built.struct("last", 4, ("member", number, 0))
    assert read(built, "last").size("last") == 4


def test_first_of_two_counts() -> None:
    """Of two structs of one name the first is taken."""
    built = Builder()
    number = built.integer()
    built.struct("twice", 8, ("member", number, 0))
    built.struct("twice", 16, ("member", number, 64))
    assert read(built, "twice").offset("twice", "member") == 0


def test_union_of_the_name_is_not_taken() -> None:
    """A union is not the struct of the same name."""
    built = Builder()
    built.struct("name", 8, ("member", built.integer(), 0), kind=UNION)
    assert read(built, "name").size("name") is None


def test_circles_end() -> None:
    """Anonymous structs that hold themselves, and typedefs of themselves, are damage, and are not followed for ever."""
    built = Builder()
    built.struct("snake", 8, ("", 1, 0), ("alias", 2, 0))
    built.add(TYPEDEF, "again", 2)
    btf = read(built, "snake")
    assert btf.offset("snake", "tail") is None
    assert btf.offset("snake", "alias.tail") is None


def whole() -> bytes:
    """Give a small whole blob."""
    built = Builder()
    number = built.integer()
    built.struct("task_struct", 16, ("tgid", number, 64))
    return built.blob()


@pytest.mark.parametrize("length", range(0, len(whole()), 3))
def test_cut_short(length: int) -> None:
    """A blob that is cut off anywhere is an error of the host's kind."""
    with pytest.raises(HostError, match=r"too short|cut short"):
        Btf(whole()[:length], frozenset({"task_struct"}))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x7fELF" + bytes(60), "not little-endian BTF"),
        (whole()[1::-1] + whole()[2:], "not little-endian BTF"),
        (b"\x9f\xeb" + b"\xff" * 62, "cut short"),
        (bytes(64), r"not little-endian BTF \(magic 0x0\)"),
    ],
    ids=["ELF", "big-endian", "offsets that lead nowhere", "zeros"],
)
def test_foreign_files(data: bytes, complaint: str) -> None:
    """What is no BTF, or no such that this program reads, is an error of the host's kind."""
    with pytest.raises(HostError, match=complaint):
        Btf(data, frozenset({"task_struct"}))


def test_unknown_kind() -> None:
    """A kind of type that came later is told: going on would read rubbish."""
    built = Builder()
    built.add(23, "new")
    with pytest.raises(HostError, match="unknown BTF kind 23; this kernel is newer"):
        read(built)


def test_types_that_run_over() -> None:
    """A last type that says it is longer than the section is damage."""
    built = Builder()
    built.add(STRUCT, "task_struct", 16, vlen=9)
    with pytest.raises(HostError, match="damaged"):
        read(built, "task_struct")


@given(st.binary(max_size=80), st.integers(0, 200))
def test_damage_is_an_error_or_nothing(noise: bytes, at: int) -> None:
    """Whatever overwrites the types, reading ends with a HostError or an answer, and with nothing else."""
    data = whole()
    at = 24 + at % (len(data) - 24)
    data = (data[:at] + noise)[: len(data)].ljust(len(data), b"\0")
    try:
        btf = Btf(data, frozenset({"task_struct"}))
    except HostError:
        return
    for answer in (btf.size("task_struct"), btf.offset("task_struct", "tgid")):
        assert answer is None or 0 <= answer < 1 << 32


def test_constants_name_everything_missing(tmp_path: Path) -> None:
    """Members and structs that the kernel lacks are all named in one message."""
    path = tmp_path / "vmlinux"
    path.write_bytes(whole())
    wanted = (
        Offset("task_tgid", "task_struct", ("tgid",)),
        Offset("inode_mtime", "inode", ("i_mtime_sec", "i_mtime.tv_sec")),
    )
    with pytest.raises(HostError, match=r"lacks inode.i_mtime_sec or i_mtime.tv_sec, struct upid;"):
        constants(wanted, ("upid",), path)


def test_constants_take_the_first_name_there_is(tmp_path: Path) -> None:
    """A member that has had several names is found by the one that this kernel uses; sizes come along."""
    path = tmp_path / "vmlinux"
    path.write_bytes(whole())
    wanted = (Offset("pid", "task_struct", ("renamed", "tgid", "older")),)
    assert constants(wanted, ("task_struct",), path) == {"OFFSET_pid": 8, "SIZE_task_struct": 16}


def test_missing_file_says_what_the_kernel_needs(tmp_path: Path) -> None:
    """Without type information the message says which setting the kernel was built without."""
    with pytest.raises(HostError, match=r"No such file or directory.*CONFIG_DEBUG_INFO_BTF=y"):
        constants((), (), tmp_path / "vmlinux")


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no type information")
def test_running_kernel_has_them_all() -> None:
    """Every member that the probes read is found in the running kernel, at an offset that can be."""
    found = constants(OFFSETS, SIZES)
    assert set(found) == {f"OFFSET_{item.name}" for item in OFFSETS} | {f"SIZE_{name}" for name in SIZES}
    assert all(0 <= value < 1 << 16 for value in found.values())
    assert found["OFFSET_task_tgid"] == found["OFFSET_task_pid"] + 4

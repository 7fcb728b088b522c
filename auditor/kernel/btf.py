"""Offsets of kernel struct members, read from the running kernel's own type information (BTF).

bcc reads wrong members through structs generated from BTF (it lays out padding and packed enums differently from the
kernel), so the probes name no kernel struct: they read at offsets that this module finds and the loader passes as
constants.

The format is described in the kernel's Documentation/bpf/btf.rst: a header, a section of types and one of strings.
Types are numbered from 1 in the order they stand in.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path
from typing import Final, NamedTuple

from auditor.errors import HostError

VMLINUX: Final = Path("/sys/kernel/btf/vmlinux")

_MAGIC: Final = 0xEB9F
_HEADER: Final = struct.Struct("<HBBIIIII")
_TYPE: Final = struct.Struct("<III")
_MEMBER: Final = struct.Struct("<III")
_STRUCT, _UNION = 4, 5
_NESTING: Final = 16
"""Anonymous structs and unions within each other that are followed; kernels have a few, damage may have circles."""
_NO_TYPE_BEHIND: Final = frozenset({2, 8, 9, 10, 11})  # pointer, typedef, volatile, const, restrict: for resolving only

# Bytes that follow a type's 12 common bytes, by kind: (fixed, per element of vlen). Kinds: include/uapi/linux/btf.h.
_TAIL: Final = {
    0: (0, 0), 1: (4, 0), 2: (0, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 7: (0, 0), 8: (0, 0), 9: (0, 0),
    10: (0, 0), 11: (0, 0), 12: (0, 0), 13: (0, 8), 14: (4, 0), 15: (0, 12), 16: (0, 0), 17: (4, 0), 18: (0, 0),
    19: (0, 12),
}  # fmt: skip


class Offset(NamedTuple):
    """A constant for the probes: the byte offset of a member that goes by one of several names over kernel versions."""

    name: str
    """Of the constant, without `OFFSET_`."""
    struct: str
    members: tuple[str, ...]
    """Tried in order; `a.b` is member b of the struct that a holds."""


class Btf:
    """A BTF blob, indexed once."""

    def __init__(self, data: bytes, names: frozenset[str]) -> None:
        """Read `data`, looking for structs of these names only.

        Raises:
            HostError: it is no BTF this program understands.

        """
        self._data = data
        try:
            magic, _, _, header_length, type_off, type_len, str_off, str_len = _HEADER.unpack_from(data)
        except struct.error as error:
            raise HostError(f"{VMLINUX}: too short to be BTF") from error
        if magic != _MAGIC:
            raise HostError(f"{VMLINUX}: not little-endian BTF (magic {magic:#x})")
        self._types = header_length + type_off
        self._types_end = self._types + type_len
        self._strings = header_length + str_off
        self._strings_end = self._strings + str_len
        if max(self._types_end, self._strings_end) > len(data):
            raise HostError(f"{VMLINUX}: cut short")
        self._at = array("I", [0])
        self._structs: dict[str, int] = {}
        self._index({self._string_offset(name): name for name in names})

    def offset(self, struct_name: str, member: str) -> int | None:
        """Byte offset of `member` (`a` or `a.b`) in `struct_name`, or None if there is no such thing.

        Members of anonymous structs and unions count as members of the struct around them, as in C.
        """
        at = self._structs.get(struct_name)
        total = 0
        for part in member.split("."):
            if at is None:
                return None
            found = self._find(at, self._string_offset(part))
            if found is None:
                return None
            bits, type_id = found
            total += bits
            at = self._resolve(type_id)
        return total // 8

    def size(self, struct_name: str) -> int | None:
        """Size of a struct in bytes, or None if there is no such struct."""
        at = self._structs.get(struct_name)
        return None if at is None else int(_TYPE.unpack_from(self._data, at)[2])

    def _string_offset(self, name: str) -> int:
        at = self._data.find(b"\0" + name.encode() + b"\0", self._strings, self._strings_end)
        return -1 if at < 0 else at + 1 - self._strings

    def _index(self, wanted: dict[int, str]) -> None:
        data, at, end = self._data, self._types, self._types_end
        unpack, append, tail = _TYPE.unpack_from, self._at.append, _TAIL
        while at + _TYPE.size <= end:
            append(at)
            name, info, _ = unpack(data, at)
            kind = info >> 24 & 31
            if kind not in tail:
                raise HostError(f"{VMLINUX}: unknown BTF kind {kind}; this kernel is newer than this program")
            if kind == _STRUCT and name in wanted:
                self._structs.setdefault(wanted[name], at)
            fixed, each = tail[kind]
            at += 12 + fixed + each * (info & 0xFFFF)
        if at != end:
            raise HostError(f"{VMLINUX}: damaged: its last type does not end where the types do")

    def _resolve(self, type_id: int) -> int | None:
        """Where the struct stands that a type is, through typedefs and qualifiers; None for anything else."""
        for _ in range(32):
            if not 0 < type_id < len(self._at):
                return None
            at = self._at[type_id]
            _, info, type_or_size = _TYPE.unpack_from(self._data, at)
            kind = info >> 24 & 31
            if kind in (_STRUCT, _UNION):
                return at
            if kind not in _NO_TYPE_BEHIND or kind == 2:
                return None
            type_id = type_or_size
        return None

    def _find(self, at: int, name: int, depth: int = _NESTING) -> tuple[int, int] | None:
        """(offset in bits, type id) of the member of this name, anonymous members searched through."""
        if name < 0 or depth == 0:
            return None
        _, info, _ = _TYPE.unpack_from(self._data, at)
        bitfields = info >> 31
        for index in range(info & 0xFFFF):
            member, type_id, offset = _MEMBER.unpack_from(self._data, at + 12 + 12 * index)
            bits = offset & 0xFFFFFF if bitfields else offset
            if member == name:
                return bits, type_id
            if member == 0:
                inner = self._resolve(type_id)
                found = None if inner is None else self._find(inner, name, depth - 1)
                if found is not None:
                    return bits + found[0], found[1]
        return None


def constants(offsets: tuple[Offset, ...], sizes: tuple[str, ...], path: Path = VMLINUX) -> dict[str, int]:
    """Find every constant that the probes need, as {`OFFSET_task_tgid`: 2468, `SIZE_upid`: 16, ...}.

    Raises:
        HostError: no BTF, or members that this kernel does not have; the message names all of them.

    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HostError(
            f"{path}: {error.strerror}. The kernel must carry its type information (CONFIG_DEBUG_INFO_BTF=y), "
            "as the kernels of Debian 12 and Ubuntu 20.10 and later do"
        ) from error
    btf = Btf(data, frozenset(item.struct for item in offsets) | frozenset(sizes))
    found: dict[str, int] = {}
    missing = []
    for item in offsets:
        value = next((v for m in item.members if (v := btf.offset(item.struct, m)) is not None), None)
        if value is None:
            missing.append(f"{item.struct}.{' or '.join(item.members)}")
        else:
            found[f"OFFSET_{item.name}"] = value
    for name in sizes:
        size = btf.size(name)
        if size is None:
            missing.append(f"struct {name}")
        else:
            found[f"SIZE_{name}"] = size
    if missing:
        raise HostError(f"{path}: this kernel lacks {', '.join(missing)}; this program does not know it yet")
    return found

"""Facts about an executable file: the one place that reads ELF, by pyelftools, and believes none of it.

Every count that the file gives is limited and every offset clamped to the file, so the worst file costs little more
than an honest one of its size. What is wrong with one part of a file does not hide the rest: the kernel runs programs
whose section table is nonsense, and so the facts go as far as they can be read.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import IO, Any, Final, cast

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.construct.core import ConstructError
from elftools.elf.structs import ELFStructs

from auditor.decode.text import text
from auditor.host import marks
from auditor.host.facts import Facts, blank
from auditor.host.image import Image, covered, limited, uncovered

SCAN_LIMIT: Final = 16 << 20
"""Bytes of a file that are searched for strings; a file with more gets the mark `scan:partial`."""

_STRUCTURE_LIMIT: Final = 4 << 20  # bytes read to understand the file: headers, tables, names, notes
_MOST_SEGMENTS: Final = 128
_MOST_SECTIONS: Final = 1024
_MOST_DYNAMIC: Final = 1024
_MOST_LIBRARIES: Final = 64
_MOST_NOTES: Final = 64
_NAME_LIMIT: Final = 128  # bytes of a library's name, a build id, a section's name
_PATH_LIMIT: Final = 256
_NOTE_LIMIT: Final = 4096
_STRINGS_LIMIT: Final = 1 << 20
_EDGE: Final = 4096  # bytes at either end of the file in which packers leave their sign

# Numbers of the ELF specification (gABI) and of Linux' include/uapi/linux/elf.h.
_EXECUTABLE: Final = 1
_WRITABLE: Final = 2
_NT_GNU_BUILD_ID: Final = 3
_NT_GO_BUILD_ID: Final = 4

_UPX: Final = b"UPX!"
_PYINSTALLER: Final = b"MEI\x0c\x0b\x0a\x0b\x0e"
_SAMPLE: Final = 64 * 1024
_DENSE: Final = 0.97
"""Packed or encrypted bytes shrink by less than a thirtieth; machine code shrinks to about half."""

_TROUBLE: Final = (ELFError, ConstructError, ValueError, LookupError, ArithmeticError)


def inspect(fd: int, size: int) -> Facts:
    """Return the facts about an open file of `size` bytes: `Executable`'s fields from `status` to `interpreter`.

    `status` is `ok`, `malformed` (the rest says what could be read all the same), `not-elf` (a script's interpreter is
    given) or `unreadable`.
    """
    image = Image(fd, size, _STRUCTURE_LIMIT)
    try:
        head = image.read_at(0, _EDGE)
        return _Elf(image).facts() if head.startswith(b"\x7fELF") else _other(head)
    except OSError:
        return blank("unreadable")


def _other(head: bytes) -> Facts:
    facts = blank("not-elf")
    script = re.match(rb"#![ \t]*([^ \t\n\0]+)", head)
    if script:
        facts.update(format="script", interpreter=text(script[1][:_PATH_LIMIT]))
    return facts


@lru_cache(maxsize=16)
def _structs(bits: int, *, little_endian: bool, machine: str) -> Any:
    structs = ELFStructs(little_endian=little_endian, elfclass=bits)
    structs.create_basic_structs()
    structs.create_advanced_structs(e_machine=machine)
    return structs


class _Elf:
    """One ELF file. Each part is read by itself, and trouble in one leaves the others."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._stream = cast("IO[bytes]", image)
        self._sound = True
        self._structs: Any = None
        self._header: Any = None
        self._segments: list[Any] = []
        self._sections: dict[bytes, Any] = {}
        self._names = b""
        self._libraries: list[str] = []
        self._build_id = ""
        self._go = False

    def facts(self) -> Facts:
        for part in (self._read_header, self._read_segments, self._read_sections, self._read_dynamic, self._read_notes):
            try:
                part()
            except _TROUBLE:
                self._sound = False
        interpreter = self._interpreter()
        static = bool(self._segments) and not interpreter and not self._libraries
        loads = static or b"\0dlopen\0" in self._names
        windows, partial = self._windows()
        found = marks.search(windows, loads=loads) | marks.of_libraries(self._libraries) | self._packers()
        if partial:
            found.add("scan:partial")
        if b"\0Py_BytesMain\0" in self._names:
            found.add("interpreter:python")
        return {
            "status": "ok" if self._sound and not self._image.exhausted else "malformed",
            "format": "elf",
            "libraries": self._libraries,
            "marks": sorted(found - {marks.RUST}),
            "build_id": self._build_id,
            "language": self._language(found),
            "static": static,
            "interpreter": interpreter,
        }

    def _read_header(self) -> None:
        ident = self._image.read_at(0, 20)
        bits, order = {1: 32, 2: 64}[ident[4]], {1: "little", 2: "big"}[ident[5]]
        little = order == "little"
        plain = _structs(bits, little_endian=little, machine="EM_NONE")
        machine = struct_parse(plain.Elf_Ehdr, self._stream, 0)["e_machine"]
        self._structs = _structs(bits, little_endian=little, machine=str(machine)[:32])
        self._header = struct_parse(self._structs.Elf_Ehdr, self._stream, 0)

    def _read_segments(self) -> None:
        if self._header is None:
            return
        self._segments = self._table(self._structs.Elf_Phdr, "ph", _MOST_SEGMENTS)
        if not self._segments:
            raise ValueError("nothing to load")
        if any(segment["p_offset"] + segment["p_filesz"] > self._image.size for segment in self._segments):
            self._sound = False

    def _read_sections(self) -> None:
        if self._header is None or self._header["e_shnum"] == 0:
            return
        table = self._table(self._structs.Elf_Shdr, "sh", _MOST_SECTIONS)
        strings = table[self._header["e_shstrndx"]] if self._header["e_shstrndx"] < len(table) else None
        names = self._image.read_at(strings["sh_offset"], min(strings["sh_size"], _STRINGS_LIMIT)) if strings else b""
        for section in table:
            start = section["sh_name"]
            self._sections.setdefault(names[start : start + _NAME_LIMIT].partition(b"\0")[0], section)

    def _table(self, struct: Any, prefix: str, most: int) -> list[Any]:
        count, width = self._header[f"e_{prefix}num"], self._header[f"e_{prefix}entsize"]
        start = self._header[f"e_{prefix}off"]
        if count > most or width < struct.sizeof() or start + count * width > self._image.size:
            raise ValueError(f"{count} entries of {width} bytes at {start}")
        return [struct_parse(struct, self._stream, start + index * width) for index in range(count)]

    def _read_dynamic(self) -> None:
        dynamic = next((segment for segment in self._segments if segment["p_type"] == "PT_DYNAMIC"), None)
        if dynamic is None:
            return
        struct = self._structs.Elf_Dyn
        width = struct.sizeof()
        needed, place, length = [], 0, 0
        for index in range(min(dynamic["p_filesz"] // width, _MOST_DYNAMIC)):
            entry = struct_parse(struct, self._stream, dynamic["p_offset"] + index * width)
            tag, value = entry["d_tag"], entry["d_val"]
            if tag == "DT_NULL":
                break
            if tag == "DT_NEEDED":
                needed.append(value)
            elif tag == "DT_STRTAB":
                place = self._offset(value)
            elif tag == "DT_STRSZ":
                length = value
        if not place:
            raise ValueError("no names")
        self._names = self._image.read_at(place, min(length, _STRINGS_LIMIT))
        names = (
            self._image.read_at(place + start, _NAME_LIMIT).partition(b"\0")[0] for start in needed[:_MOST_LIBRARIES]
        )
        self._libraries = [text(name) for name in names if name]
        if len(self._libraries) < len(needed):
            raise ValueError("libraries without a name, or too many")

    def _offset(self, address: int) -> int:
        for segment in self._loads():
            distance = address - segment["p_vaddr"]
            if 0 <= distance < segment["p_filesz"]:
                return int(segment["p_offset"] + distance)
        return 0

    def _loads(self) -> Iterable[Any]:
        return (segment for segment in self._segments if segment["p_type"] == "PT_LOAD")

    def _read_notes(self) -> None:
        order = "little" if self._structs is not None and self._structs.little_endian else "big"
        notes = [segment for segment in self._segments if segment["p_type"] == "PT_NOTE"]
        for segment in notes[:_MOST_NOTES]:
            data = self._image.read_at(segment["p_offset"], min(segment["p_filesz"], _NOTE_LIMIT))
            self._read_note_block(data, order)

    def _read_note_block(self, data: bytes, order: Any) -> None:
        position = 0
        for _ in range(_MOST_NOTES):
            if position + 12 > len(data):
                return
            name_size, size, kind = (int.from_bytes(data[position + at : position + at + 4], order) for at in (0, 4, 8))
            start = position + 12
            content = start + -(-name_size // 4) * 4
            owner, value = (
                data[start : start + name_size].rstrip(b"\0"),
                data[content : content + min(size, _NAME_LIMIT)],
            )
            if owner == b"GNU" and kind == _NT_GNU_BUILD_ID:
                self._build_id = value.hex()
            elif owner == b"Go" and kind == _NT_GO_BUILD_ID:
                self._go = True
                self._build_id = self._build_id or text(value)
            position = content + -(-size // 4) * 4

    def _interpreter(self) -> str:
        for segment in self._segments:
            if segment["p_type"] == "PT_INTERP":
                data = self._image.read_at(segment["p_offset"], min(segment["p_filesz"], _PATH_LIMIT))
                return text(data.partition(b"\0")[0])
        return ""

    def _language(self, found: set[str]) -> str:
        comment = self._section(b".comment")
        if self._go or b".go.buildinfo" in self._sections or b".gopclntab" in self._sections:
            return "go"
        if b"rustc version" in comment or marks.RUST in found:
            return "rust"
        if "packer:pyinstaller" in found:
            return "python"
        if any(name.startswith(("libstdc++.so", "libc++.so")) for name in self._libraries):
            return "c++"
        return "c" if b"GCC:" in comment or b"clang version" in comment or self._libraries else ""

    def _section(self, name: bytes) -> bytes:
        section = self._sections.get(name)
        return (
            b"" if section is None else self._image.read_at(section["sh_offset"], min(section["sh_size"], _NOTE_LIMIT))
        )

    def _packers(self) -> set[str]:
        found = set()
        head, tail = self._image.read_at(0, _EDGE), self._image.read_at(self._image.size - _EDGE, _EDGE)
        if _UPX in head or _UPX in tail:
            found.add("packer:upx")
        if _PYINSTALLER in tail:
            found.add("packer:pyinstaller")
        if not self._sections and self._dense():
            found.add("packer:unknown")
        return found

    def _dense(self) -> bool:
        code = max((load for load in self._loads() if load["p_flags"] & _EXECUTABLE), key=_file_size, default=None)
        if code is None:
            return False
        sample = self._image.read_at(code["p_offset"] + max(0, code["p_filesz"] - _SAMPLE) // 2, _SAMPLE)
        return len(sample) >= _EDGE and len(zlib.compress(sample, 1)) >= _DENSE * len(sample)

    def _windows(self) -> tuple[marks.Windows, bool]:
        """Return what to search: all but machine code, where code lies apart from constants; else the whole file."""
        loads = [(load["p_offset"], _file_size(load), load["p_flags"]) for load in self._loads()]
        constants = [(start, length) for start, length, flags in loads if not flags & _EXECUTABLE]
        code = [(start, length) for start, length, flags in loads if flags & _EXECUTABLE]
        apart = any(not flags & (_EXECUTABLE | _WRITABLE) for _, _, flags in loads)
        first = covered(constants if apart else [(0, self._image.size)], self._image.size)
        rest = uncovered([*code, *first], self._image.size)
        regions = [*first, *rest]
        chosen = limited(regions, SCAN_LIMIT)
        return lambda: self._image.windows(chosen, marks.OVERLAP), chosen != regions


def _file_size(segment: Any) -> int:
    return int(segment["p_filesz"])

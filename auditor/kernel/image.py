"""Compiled probes as data: what a compiler made, and loading it into the kernel with nothing but bpf(2).

An image outlives the compiler: it can be kept on disk, and the next start needs neither bcc nor the time and the memory
that it takes.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from auditor.errors import HostError
from auditor.kernel import bpf
from auditor.kernel.bpf import MapShape
from auditor.kernel.catalog import Hook

_LOAD_64: Final = 0x18  # BPF_LD | BPF_DW | BPF_IMM: an instruction of two slots of 8 bytes
_MAP_FD: Final = 1  # BPF_PSEUDO_MAP_FD in its source register: the value is a map's descriptor
_SLOT: Final = 8


@dataclass(frozen=True, slots=True)
class Image:
    """Compiled probes. In the programs' instructions, maps are numbered as in `maps`."""

    maps: tuple[MapShape, ...]
    programs: Mapping[str, bytes]
    """Instructions by function."""

    def to_bytes(self) -> bytes:
        """Write as JSON."""
        programs = {name: base64.b64encode(code).decode() for name, code in self.programs.items()}
        return json.dumps({"maps": self.maps, "programs": programs}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote. Raises ValueError for anything else."""
        try:
            content = json.loads(data)
            maps = tuple(MapShape(*shape) for shape in content["maps"])
            programs = {name: base64.b64decode(code) for name, code in content["programs"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an image: {error}") from error
        return cls(maps, programs)


class Loaded(NamedTuple):
    """Programs and maps in the kernel, by descriptor."""

    programs: dict[str, int]
    """By function in bpf/."""
    maps: dict[str, int]
    refused: dict[str, str]
    """Hooks that the kernel refused, with what it said."""


def number_maps(code: bytes, numbers: Mapping[int, int]) -> bytes:
    """Exchange the maps that instructions refer to: each key of `numbers` by its value.

    Raises:
        KeyError: a map that is not among them.

    """
    result = bytearray(code)
    at = 0
    while at < len(result):
        wide = result[at] == _LOAD_64
        if wide and result[at + 1] >> 4 == _MAP_FD:
            old = int.from_bytes(result[at + 4 : at + 8], "little", signed=True)
            result[at + 4 : at + 8] = numbers[old].to_bytes(4, "little", signed=True)
        at += 2 * _SLOT if wide else _SLOT
    return bytes(result)


def map_references(code: bytes) -> set[int]:
    """Return the maps that instructions refer to."""
    found: set[int] = set()
    at = 0
    while at < len(code):
        wide = code[at] == _LOAD_64
        if wide and code[at + 1] >> 4 == _MAP_FD:
            found.add(int.from_bytes(code[at + 4 : at + 8], "little", signed=True))
        at += 2 * _SLOT if wide else _SLOT
    return found


def load(image: Image, hooks: Iterable[Hook]) -> Loaded:
    """Make the maps and load the programs.

    Raises:
        HostError: a map cannot be made.

    """
    maps: dict[str, int] = {}
    for shape in image.maps:
        try:
            maps[shape.name] = bpf.create_map(shape)
        except OSError as error:
            for fd in maps.values():
                os.close(fd)
            raise HostError(f"the kernel refuses the table {shape.name}: {error.strerror}") from error
    numbers = {index: maps[shape.name] for index, shape in enumerate(image.maps)}
    programs, refused = {}, {}
    for hook in hooks:
        code = number_maps(image.programs[hook.function], numbers)
        try:
            programs[hook.function] = bpf.load_program(code, hook.program, hook.attach, hook.function)
        except bpf.RefusedError as error:
            refused[hook.function] = str(error)
    return Loaded(programs, maps, refused)

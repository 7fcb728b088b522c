"""bpf/wire.h and the Python that reads its records agree: a C compiler says where everything lies."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from auditor.decode.layout import HEADER_FIELDS, LAYOUTS, Layout, field_offsets
from auditor.decode.names import ROLES
from auditor.model.records import FRAME_SIZE, HEADER, HEADER_SIZE, Flag, Kind

TYPES = "".join(
    f"typedef {'unsigned' if sign == 'u' else 'signed'} {name} {sign}{bits};\n"
    for bits, name in ((8, "char"), (16, "short"), (32, "int"), (64, "long long"))
    for sign in "us"
)
RECORDS = {layout.name: layout for layout in LAYOUTS.values()}
LAST_KERNEL_KIND = 0x7FFF


class Wire(NamedTuple):
    """What the compiler makes of wire.h."""

    sizes: dict[str, int]
    """Size in bytes by struct."""
    fields: dict[str, dict[str, list[int]]]
    """[offset, size] in bytes by struct and field, in the order of declaration."""
    constants: dict[str, int]


def compile_c(source: str, program: Path) -> subprocess.CompletedProcess[str]:
    """Compile as strictly as wire.h demands: no warning, no padding that nobody wrote."""
    command = ["cc", "-Wall", "-Wpadded", "-Werror", "-x", "c", "-o", str(program), "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False)


def questions(header: str) -> str:
    """Write a program that prints, as JSON, the sizes, offsets and constants of everything that a header declares."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    prints = []
    for struct, body in re.findall(r"struct (\w+) \{(.*?)\};", text, flags=re.DOTALL):
        prints.append(f'P("[\\"size\\", \\"{struct}\\", \\"\\", %zu, 0],\\n", sizeof(struct {struct}));')
        for field in re.findall(r"(\w+)(?:\[\w+\])?;", body):
            where = f"__builtin_offsetof(struct {struct}, {field}), sizeof(((struct {struct} *)0)->{field})"
            prints.append(f'P("[\\"field\\", \\"{struct}\\", \\"{field}\\", %zu, %zu],\\n", {where});')
    for body in re.findall(r"enum \w+ \{(.*?)\};", text, flags=re.DOTALL):
        names = re.findall(r"(\w+)\s*=", body)
        prints.extend(f'P("[\\"constant\\", \\"\\", \\"{name}\\", %d, 0],\\n", {name});' for name in names)
    body = "\n".join(prints)
    return f'{TYPES}{header}\n#include <stdio.h>\n#define P printf\nint main(void) {{\n{body}\nP("null");\n}}\n'


@pytest.fixture(scope="session")
def header(root: Path) -> str:
    """Read wire.h."""
    return (root / "bpf" / "wire.h").read_text()


@pytest.fixture(scope="session")
def wire(header: str, tmp_path_factory: pytest.TempPathFactory) -> Wire:
    """Ask the compiler about wire.h."""
    if shutil.which("cc") is None:
        pytest.fail("needs a C compiler: apt-get install gcc libc6-dev")
    program = tmp_path_factory.mktemp("wire") / "wire"
    compiled = compile_c(questions(header), program)
    assert compiled.returncode == 0, compiled.stderr
    answers = json.loads("[" + subprocess.run([program], capture_output=True, text=True, check=True).stdout + "]")
    wire = Wire({}, {}, {})
    for what, struct, name, first, second in answers[:-1]:
        if what == "size":
            wire.sizes[struct] = first
            wire.fields[struct] = {}
        elif what == "field":
            wire.fields[struct][name] = [first, second]
        else:
            wire.constants[name] = first
    return wire


def members(wire: Wire, prefix: str) -> dict[str, int]:
    """Take the constants whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in wire.constants.items() if name.startswith(prefix)}


def public(holder: type) -> dict[str, int]:
    """Take a class's constants."""
    return {name: value for name, value in vars(holder).items() if name.isupper()}


def test_header_lies_alike(wire: Wire) -> None:
    """The record header has the same size, fields and offsets in C and in Python."""
    assert wire.sizes["record_header"] == HEADER_SIZE
    assert tuple(wire.fields["record_header"]) == HEADER_FIELDS
    sizes = [size for _, size in wire.fields["record_header"].values()]
    assert sizes == [{"H": 2, "I": 4, "Q": 8}[code] for code in HEADER.format.lstrip("<")]


def test_every_struct_has_a_layout(wire: Wire) -> None:
    """No struct of wire.h is unknown to Python, and Python knows none that is not there."""
    assert set(wire.sizes) - {"record_header"} == set(RECORDS)


@pytest.mark.parametrize("layout", RECORDS.values(), ids=RECORDS)
def test_record_lies_alike(wire: Wire, layout: Layout) -> None:
    """Each record has the same size, fields and offsets in C and in Python."""
    fields = dict(wire.fields[layout.name])
    assert fields.pop("header") == [0, HEADER_SIZE]
    assert {name: tuple(place) for name, place in fields.items()} == field_offsets(layout)
    assert tuple(fields) == layout.fields
    assert wire.sizes[layout.name] == layout.size


def test_kernel_kinds_agree(wire: Wire) -> None:
    """Each kind below 0x8000 stands in both lists, with the same number, and has a layout."""
    kernel = {name: number for name, number in public(Kind).items() if number <= LAST_KERNEL_KIND}
    assert members(wire, "KIND_") == kernel
    assert set(kernel.values()) <= set(LAYOUTS)


def test_kinds_are_told_apart() -> None:
    """No number is given twice, and all fit the header's field."""
    numbers = list(public(Kind).values())
    assert len(numbers) == len(set(numbers))
    assert all(0 < number <= 0xFFFF for number in numbers)


def test_flags_agree(wire: Wire) -> None:
    """Each flag is the same single bit on both sides."""
    assert members(wire, "FLAG_") == public(Flag)
    assert all(bit.bit_count() == 1 for bit in public(Flag).values())


def test_gpu_roles_agree(wire: Wire) -> None:
    """Each role of a GPU device has the same number and name on both sides."""
    assert {number: name.lower() for name, number in members(wire, "GPU_ROLE_").items()} == ROLES


def test_records_stay_aligned(wire: Wire) -> None:
    """Every struct fills whole 8-byte words, as the ring's records do, and so does a frame's head."""
    assert FRAME_SIZE == 8
    assert all(size % 8 == 0 for size in wire.sizes.values())


def test_padding_is_refused(header: str, tmp_path: Path) -> None:
    """A field that makes the compiler add padding does not compile."""
    padded = header.replace("\tu64 cookie;", "\tu8 crooked;\n\tu64 cookie;")
    assert padded != header
    compiled = compile_c(questions(padded), tmp_path / "wire")
    assert compiled.returncode != 0
    assert "padding struct" in compiled.stderr

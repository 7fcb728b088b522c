"""Facts about executables: right for honest files, bounded and quiet for hostile ones."""

import random
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.host import elf
from auditor.host.facts import Facts
from tests.unit.host.binaries import INTERPRETER, make_elf, note, opened

PHOFF, SHOFF, PHNUM, SHENTSIZE, SHNUM = 32, 40, 56, 58, 60
FIRST_SEGMENT_SIZE = 64 + 32


def inspect(data: bytes) -> Facts:
    """Inspect bytes as a file."""
    with opened(data) as fd:
        return elf.inspect(fd, len(data))


def inspect_file(path: str) -> Facts:
    """Inspect a file of this host."""
    with Path(path).open("rb") as file:
        return elf.inspect(file.fileno(), Path(path).stat().st_size)


def patched(data: bytes, offset: int, code: str, value: int) -> bytes:
    """Write a number over a file's bytes."""
    return data[:offset] + struct.pack("<" + code, value) + data[offset + struct.calcsize(code) :]


def test_honest_file_tells_everything() -> None:
    """Libraries, interpreter, build id and language of a plain program are read."""
    build_id = bytes(range(20))
    data = make_elf(
        libraries=(b"libssl.so.3", b"libc.so.6"), notes=note(b"GNU", 3, build_id), comment=b"GCC: (Debian 12.2.0)\0"
    )
    assert inspect(data) == {
        "status": "ok",
        "format": "elf",
        "libraries": ["libssl.so.3", "libc.so.6"],
        "marks": [],
        "build_id": build_id.hex(),
        "language": "c",
        "static": False,
        "interpreter": INTERPRETER[:-1].decode(),
    }


def test_this_host_s_shell_is_read() -> None:
    """A real binary of the distribution gives facts and no marks."""
    facts = inspect_file("/bin/sh")
    assert facts["status"] == "ok"
    assert any(name.startswith("libc.") for name in facts["libraries"])
    assert facts["marks"] == []


def test_program_without_libraries_is_static() -> None:
    """No interpreter and no libraries mean a static program."""
    assert inspect(make_elf(libraries=(), interpreter=b""))["static"] is True


@pytest.mark.parametrize(
    ("data", "language"),
    [
        (make_elf(notes=note(b"Go", 4, b"abc/def")), "go"),
        (make_elf(comment=b"GCC: (GNU) 12\0rustc version 1.79.0\0"), "rust"),
        (make_elf(b"/rustc/90c5418/library/std/src/panicking.rs"), "rust"),
        (make_elf(libraries=(b"libstdc++.so.6",)), "c++"),
        (make_elf(libraries=(), interpreter=b""), ""),
        (make_elf() + b"MEI\x0c\x0b\x0a\x0b\x0e" + bytes(80), "python"),
    ],
)
def test_language_is_told(data: bytes, language: str) -> None:
    """Each language is known by what its tool chain leaves behind, and is empty where nothing is."""
    assert inspect(data)["language"] == language


def test_go_build_id_stands_in_for_a_missing_gnu_one() -> None:
    """A Go program without a GNU build id has Go's own."""
    assert inspect(make_elf(notes=note(b"Go", 4, b"abc/def")))["build_id"] == "abc/def"


def test_renamed_ssh_client_is_known_by_what_it_is(tmp_path: Path) -> None:
    """A copy of OpenSSH's client under another name is marked; its server and its tools are not."""
    if shutil.which("ssh") is None:
        pytest.skip("needs an OpenSSH client")
    renamed = shutil.copy(shutil.which("ssh"), tmp_path / "backup")
    assert "client:openssh" in inspect_file(str(renamed))["marks"]
    others = [tool for name in ("sshd", "scp", "sftp", "ssh-keygen", "ssh-agent") if (tool := shutil.which(name))]
    assert [tool for tool in others if "client:openssh" in inspect_file(tool)["marks"]] == []


def test_python_interpreter_is_marked() -> None:
    """A program that offers Python's main function is an interpreter, whatever its name."""
    assert inspect(make_elf(imports=(b"Py_BytesMain",)))["marks"] == ["interpreter:python"]


def test_upx_is_marked() -> None:
    """UPX leaves its magic near either end of the file."""
    assert inspect(make_elf() + b"UPX!" + bytes(32))["marks"] == ["packer:upx"]


def test_dense_code_without_sections_is_packed() -> None:
    """Code that does not compress, in a file without a section table, is a packer's; ordinary code is not."""
    dense = random.Random(1).randbytes(100_000)
    assert inspect(make_elf(code=dense))["marks"] == ["packer:unknown"]
    assert inspect(make_elf(code=dense, comment=b"GCC: 12\0"))["marks"] == []
    assert inspect(make_elf(code=b"\x48\x89\xe5\xc3" * 25_000))["marks"] == []


def test_gpu_library_counts_linked_or_loaded_by_name() -> None:
    """A linked GPU library is a mark; a name alone counts only where the program can load by name."""
    assert inspect(make_elf(libraries=(b"libcuda.so.1", b"libnvidia-ml.so.1")))["marks"] == ["gpu:cuda", "gpu:nvml"]
    assert inspect(make_elf(b"libOpenCL.so.1", imports=(b"dlopen",)))["marks"] == ["gpu:opencl"]
    assert inspect(make_elf(b"libOpenCL.so.1"))["marks"] == []


def test_strings_between_code_bytes_count_only_without_constants_apart() -> None:
    """Strings are looked for outside of machine code, and behind the end of what is loaded."""
    words = b"mining.subscribe\0mining.authorize\0"
    assert "miner:stratum" in inspect(make_elf(words))["marks"]
    assert "miner:stratum" in inspect(make_elf() + words)["marks"]
    assert "miner:stratum" not in inspect(make_elf(code=words))["marks"]


def test_file_of_code_alone_is_searched_whole() -> None:
    """Where constants are mapped with the code, as old linkers do, the code's segment is searched too."""
    data = make_elf(code=b"mining.subscribe\0mining.authorize\0")
    one_segment = patched(data, 64 + 4, "I", 5)
    assert "miner:stratum" in inspect(one_segment)["marks"]


def test_search_stops_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with more to search than the limit says so in its marks."""
    monkeypatch.setattr(elf, "SCAN_LIMIT", 4096)
    assert "scan:partial" in inspect(make_elf(bytes(8192)))["marks"]


def test_script_names_its_interpreter() -> None:
    """A script is no ELF file, and its interpreter is what the first line says."""
    facts = inspect(b"#! /usr/bin/env python3\nprint()\n")
    assert (facts["status"], facts["format"], facts["interpreter"]) == ("not-elf", "script", "/usr/bin/env")


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"MZ" * 100, b"#!\n"])
def test_other_files_are_not_elf(data: bytes) -> None:
    """What is neither ELF nor a script gives no facts."""
    facts = inspect(data)
    assert (facts["status"], facts["format"]) == ("not-elf", "other")


HOSTILE = make_elf(comment=b"GCC: 12\0", notes=note(b"GNU", 3, b"id"))


@pytest.mark.parametrize(
    "data",
    [
        HOSTILE[:40],
        HOSTILE[:200],
        patched(HOSTILE, 4, "B", 9),
        patched(HOSTILE, 5, "B", 0),
        patched(HOSTILE, PHOFF, "Q", 2**63),
        patched(HOSTILE, PHOFF, "Q", 2**64 - 1),
        patched(HOSTILE, PHNUM, "H", 0xFFFF),
        patched(HOSTILE, PHNUM, "H", 0),
        patched(HOSTILE, SHNUM, "H", 0xFFFF),
        patched(HOSTILE, SHOFF, "Q", 2**63),
        patched(HOSTILE, SHENTSIZE, "H", 1),
        patched(HOSTILE, FIRST_SEGMENT_SIZE, "Q", 2**63),
    ],
)
def test_nonsense_is_malformed(data: bytes) -> None:
    """Truncation, counts and offsets that cannot be: malformed, without an error."""
    assert inspect(data)["status"] == "malformed"


def test_broken_section_table_hides_nothing() -> None:
    """The kernel ignores sections, so a broken section table leaves libraries, interpreter and marks."""
    facts = inspect(patched(make_elf(b"mining.subscribe mining.submit", comment=b"GCC: 12\0"), SHOFF, "Q", 2**63))
    assert facts["status"] == "malformed"
    assert facts["libraries"] == ["libc.so.6"]
    assert facts["marks"] == ["miner:stratum"]


def test_library_names_are_bounded() -> None:
    """Too many libraries, with long names: the first ones, cut off, and malformed."""
    facts = inspect(make_elf(libraries=[b"%03d" % number + b"x" * 400 for number in range(200)]))
    assert facts["status"] == "malformed"
    assert len(facts["libraries"]) == 64
    assert max(map(len, facts["libraries"])) == 128


def test_reading_for_structure_is_bounded() -> None:
    """A file whose every note lies elsewhere costs no more reads than the budget, and is malformed."""
    data = bytearray(make_elf(bytes(16 << 20)))
    spread = b"".join(struct.pack("<IIQQQQQQ", 4, 4, at << 17, 0, 0, 8192, 8192, 4) for at in range(100))
    place = len(data)
    data += spread
    struct.pack_into("<Q", data, PHOFF, place)
    struct.pack_into("<H", data, PHNUM, 100)
    assert inspect(bytes(data))["status"] == "malformed"


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(HOSTILE) - 8), st.sampled_from([0, 1, 255, 2**31, 2**32 - 1, 2**63, 2**64 - 1])),
        max_size=12,
    ),
    end=st.integers(0, len(HOSTILE)) | st.just(len(HOSTILE)),
)
def test_mutated_files_never_break_the_reader(changes: list[tuple[int, int]], end: int) -> None:
    """Whatever numbers are written over an ELF file, and wherever it is cut off, there is an answer of known shape."""
    data = HOSTILE
    for offset, value in changes:
        data = patched(data, offset, "Q", value)
    facts = inspect(data[:end])
    assert facts["status"] in {"ok", "malformed", "not-elf"}
    assert len(facts["libraries"]) <= 64


@settings(max_examples=100, deadline=None)
@given(tail=st.binary(max_size=600))
def test_random_bytes_behind_the_magic_never_break_the_reader(tail: bytes) -> None:
    """Noise that calls itself ELF is malformed."""
    assert inspect(b"\x7fELF" + tail)["status"] == "malformed"

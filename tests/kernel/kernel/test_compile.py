"""Compiling C to an image, without the kernel's headers."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import assets
from auditor.errors import HostError
from auditor.kernel import compile as compiling
from auditor.kernel.bpf import MapShape
from auditor.kernel.catalog import PROG_RAW_TRACEPOINT, Hook
from auditor.kernel.compile import compile_probes, import_bcc
from auditor.kernel.image import Image, load, map_references
from auditor.kernel.loader import Loader

TEXT = """
BPF_TABLE("hash", u32, u64, numbers, LIMIT);
BPF_ARRAY(unused, u64, 1);

int first(struct bpf_raw_tracepoint_args *ctx)
{
	u32 key = ANSWER;
	u64 *value = numbers.lookup(&key);

	if (value)
		*value += 1;
	return 0;
}

int second(struct bpf_raw_tracepoint_args *ctx)
{
	return 0;
}
"""


def hook(function: str) -> Hook:
    """Give a hook for a function."""
    return Hook(function, "raw_tracepoint", "sched_process_exit", PROG_RAW_TRACEPOINT, 0, True, "", "", "")


def compiled_elsewhere(expression: str) -> object:
    """Evaluate in another process, which then has the compiler in its memory; gives the value."""
    code = (
        "import sys\nfrom tests.kernel.kernel.test_compile import *\n"
        f"sys.stdout.write('\\n' + repr({expression}))\nsys.stdout.flush()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    return ast.literal_eval(done.stdout.splitlines()[-1])


def compiled() -> Image:
    """Compile the text above."""
    return compile_probes(TEXT, {"LIMIT": 5, "ANSWER": 42}, [hook("first"), hook("second")])


@pytest.fixture(scope="module")
def image() -> Image:
    """Give the image of the text above, compiled elsewhere."""
    data = compiled_elsewhere("compiled().to_bytes()")
    assert isinstance(data, bytes)
    return Image.from_bytes(data)


def test_constants_maps_and_programs(image: Image) -> None:
    """Constants reach the text; maps are kept with their shapes; programs refer to them by number."""
    assert image.maps == (MapShape("numbers", 1, 4, 8, 5, 0),)
    first, second = image.programs["first"], image.programs["second"]
    assert (map_references(first), map_references(second)) == ({0}, set())
    assert (42).to_bytes(4, "little") in first


def test_image_loads(image: Image) -> None:
    """What was compiled loads in a process without the compiler."""
    loaded = load(image, [hook("first"), hook("second")])
    assert (set(loaded.programs), set(loaded.maps), loaded.refused) == ({"first", "second"}, {"numbers"}, {})
    for fd in (*loaded.programs.values(), *loaded.maps.values()):
        os.close(fd)


def refusal() -> str:
    """Compile what is no C; gives the message."""
    try:
        compile_probes("int first(", {}, [hook("first")])
    except HostError as error:
        return str(error)
    return "compiled"


def test_text_that_does_not_compile() -> None:
    """What does not compile is an error of the host's kind."""
    assert compiled_elsewhere("refusal()") == "the probes do not compile on this host"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have bcc not imported yet."""
    monkeypatch.delitem(sys.modules, "bcc", raising=False)


@pytest.mark.usefixtures("fresh")
def test_bcc_comes_from_the_distribution() -> None:
    """The binding is the distribution's, in whichever environment this runs; it is imported once."""
    path, once = compiled_elsewhere("(import_bcc().__file__, import_bcc() is import_bcc())")
    assert path in {str(directory / "bcc" / "__init__.py") for directory in compiling._DISTRIBUTION}
    assert once is True


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ImportError('no such thing')", "no such thing"),
        ("raise OSError('libbcc.so.0: cannot open shared object file')", "libbcc.so.0"),
        ("raise AttributeError('undefined symbol: bpf_x')", "undefined symbol"),
    ],
)
def test_broken_bcc_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    """A binding whose library is missing or of another version is told, with what to install; it is not kept."""
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text(text)
    monkeypatch.setattr(compiling, "_DISTRIBUTION", (tmp_path / "none", tmp_path))
    with pytest.raises(HostError, match=rf"does not load \(.*{reason}.*\); .*apt-get install python3-bpfcc"):
        import_bcc()
    assert "bcc" not in sys.modules


@pytest.mark.usefixtures("fresh")
def test_missing_bcc_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the binding, the package that has it is named, and the one that has not."""
    monkeypatch.setattr(compiling, "_DISTRIBUTION", (tmp_path,))
    with pytest.raises(HostError, match=r"bcc is not installed; .*python3-bpfcc.*PyPI's `bcc` is something else"):
        import_bcc()


def loaded_without_compiler() -> bool:
    """Load the probes; tell whether this process has no compiler in its memory then."""
    loaded = Loader(assets.probes()).finish()
    return not loaded.refused and "libbcc" not in Path("/proc/self/maps").read_text() and "bcc" not in sys.modules


def test_compiler_stays_out_of_this_process() -> None:
    """A process that loads the probes has no compiler in its memory: the loader's child had it, and is gone."""
    assert compiled_elsewhere("loaded_without_compiler()") is True

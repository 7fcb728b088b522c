"""Loading in a child: what comes back, and what is said when it goes wrong."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from auditor import assets
from auditor.errors import HostError
from auditor.kernel.bpf import map_shape
from auditor.kernel.catalog import HOOKS, LIMITS, MAPS
from auditor.kernel.image import Loaded
from auditor.kernel.loader import Loader, join_sources
from auditor.kernel.store import Store

MESSAGE_LIMIT = 400
ENTRY = "int on_connect6(struct bpf_sock_addr *ctx)\n{\n"
BEYOND = "\tif (*(volatile u32 *)((char *)ctx + 4096))\n\t\treturn 1;\n"
"""Reads beyond the context, which the verifier does not allow."""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Give a copy of the probes' sources."""
    return Path(shutil.copytree(assets.probes(), tmp_path / "bpf"))


def close(loaded: Loaded) -> None:
    """Let go of what was loaded."""
    for fd in (*loaded.programs.values(), *loaded.maps.values()):
        os.close(fd)


def failure(sources: Path, limits: Mapping[str, int] = LIMITS) -> str:
    """Load what cannot be loaded; gives the message, which must be one line and not go on for ever."""
    with pytest.raises(HostError) as caught:
        Loader(sources, limits).finish()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < MESSAGE_LIMIT
    return message


def test_everything_is_loaded(loaded: Loaded) -> None:
    """Every program and map of the catalog comes, nothing was refused, and the tables have the sizes asked for."""
    assert set(loaded.programs) == {hook.function for hook in HOOKS}
    assert set(loaded.maps) == set(MAPS)
    assert loaded.refused == {}
    assert map_shape(loaded.maps["labels"]).max_entries == LIMITS["LABELS"]
    assert map_shape(loaded.maps["ring"]).max_entries == LIMITS["RING_PAGES"] * 4096
    assert map_shape(loaded.maps["labels"]).name == "labels"


def test_descriptors_are_not_inherited(loaded: Loaded) -> None:
    """No program and no map goes on to a command that is started."""
    fds = [*loaded.programs.values(), *loaded.maps.values()]
    assert [os.get_inheritable(fd) for fd in fds] == [False] * len(fds)


def test_loading_can_be_waited_for(store: Store) -> None:
    """The loader's descriptor is readable once there is an answer, and no child is left after it was taken."""
    loader = Loader(assets.probes(), store=store)
    readable, _, _ = select.select([loader], [], [], 30)
    assert readable == [loader]
    close(loader.finish())
    with pytest.raises(ChildProcessError):
        os.waitpid(loader._pid, 0)


def test_broken_source_is_told_in_one_line(sources: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A source that does not compile is told with file, line and the compiler's complaint; nothing is printed."""
    text = (sources / "gpu.c").read_text()
    (sources / "gpu.c").write_text(text + "\nint broken(void)\n{\n\treturn nowhere_declared;\n}\n")
    line = text.count("\n") + 4
    assert f"bpf/gpu.c:{line}:9: error: use of undeclared identifier 'nowhere_declared'" in failure(sources)
    assert capfd.readouterr() == ("", "")


def test_missing_source_is_told(sources: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A missing file is told by its name."""
    (sources / "network.c").unlink()
    assert "network.c" in failure(sources)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("limit", "table"),
    [
        ({"RING_PAGES": 3}, "ring"),
        ({"LABELS": 1 << 31}, "labels"),
    ],
)
def test_limit_out_of_range_names_the_table(
    limit: dict[str, int], table: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A table that the kernel will not make is told by its name, with the kernel's reason."""
    message = failure(assets.probes(), {**LIMITS, **limit})
    assert f"bpf map: {table}, error: " in message
    assert capfd.readouterr() == ("", "")


def test_refused_program_is_told_apart(sources: Path) -> None:
    """A program that compiles and that the kernel refuses is no failure of the others: it is named, with the reason."""
    text = (sources / "network.c").read_text()
    (sources / "network.c").write_text(text.replace(ENTRY, ENTRY + BEYOND))
    loaded = Loader(sources).finish()
    assert set(loaded.refused) == {"on_connect6"}
    assert "invalid bpf_context access" in loaded.refused["on_connect6"]
    assert set(loaded.programs) == {hook.function for hook in HOOKS} - {"on_connect6"}
    close(loaded)


def test_death_of_the_child_is_told() -> None:
    """A child that is killed, as by the kernel for want of memory, is an error that says so."""
    loader = Loader(assets.probes())
    os.kill(loader._pid, signal.SIGKILL)
    with pytest.raises(HostError, match="the process that compiles the probes died"):
        loader.finish()


def test_stored_probes_need_no_compiler(
    tmp_path: Path, sources: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes that were compiled before are loaded without the compiler; those of another text or boot are not."""
    close(Loader(sources, store=store).finish())
    monkeypatch.setattr("auditor.kernel.compile._DISTRIBUTION", (tmp_path,))
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    loaded = Loader(sources, store=store).finish()
    assert (set(loaded.maps), loaded.refused) == (set(MAPS), {})
    close(loaded)
    with pytest.raises(HostError, match="apt-get install python3-bpfcc"):
        Loader(sources, {**LIMITS, "LABELS": 77}, store=store).finish()
    boot = tmp_path / "boot_id"
    boot.write_text("00000000-0000-0000-0000-000000000000\n")  # the kernel may be another
    monkeypatch.setattr("auditor.kernel.loader._BOOT_ID", boot)
    with pytest.raises(HostError, match="bcc is not installed"):
        Loader(sources, store=store).finish()


def test_missing_bcc_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bcc the message says what to install."""
    monkeypatch.setattr("auditor.kernel.compile._DISTRIBUTION", (tmp_path,))
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    message = failure(assets.probes())
    assert message.startswith("bcc is not installed; install the distribution's package")


def test_sources_are_joined_in_order(sources: Path) -> None:
    """The files come in the catalog's order, each under its own name and line numbers."""
    text = join_sources(sources)
    marks = [line for line in text.splitlines() if line.startswith("#line")]
    assert marks[0] == '#line 1 "bpf/wire.h"'
    assert len(marks) == len(set(marks)) == len(list(sources.glob("*.[ch]")))

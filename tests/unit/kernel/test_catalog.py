"""The catalog and the C sources say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor import assets
from auditor.decode import names
from auditor.kernel.catalog import GAUGES, HOOKS, LIMITS, MAPS, OFFSETS, SIZES, SOURCES
from auditor.kernel.probes import AGENT, CALL_ROOT, HOLDS_GPU
from auditor.model.records import LabelSource


@pytest.fixture(scope="module")
def text() -> str:
    """Give all sources of the probes, without comments."""
    joined = "\n".join((assets.probes() / name).read_text() for name in SOURCES)
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", joined, flags=re.DOTALL)


def body(text: str, enum: str) -> str:
    """Give what stands in an enum."""
    found = re.search(rf"enum {enum}\s*{{(.*?)}}", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def used(text: str, pattern: str) -> set[str]:
    """Find the names that the sources use."""
    return set(re.findall(pattern, text))


def test_every_source_is_listed() -> None:
    """No C file of the probes is left out, and none is listed that is not there."""
    folder: Path = assets.probes()
    assert {path.name for path in folder.glob("*.[ch]")} == set(SOURCES)


def test_every_probe_is_a_hook(text: str) -> None:
    """Each function that is attached is a row of the table, and each row's function is there."""
    assert used(text, r"(?m)^int (on_\w+)\(") == {hook.function for hook in HOOKS}
    assert len({hook.function for hook in HOOKS}) == len(HOOKS)


def test_hooks_are_consistent() -> None:
    """An expected attach type goes with cgroup programs alone, and only tracepoints come and go."""
    assert {hook.kind for hook in HOOKS} == {"raw_tracepoint", "cgroup", "tracepoint"}
    assert all(bool(hook.attach) == (hook.kind == "cgroup") for hook in HOOKS)
    assert all(hook.standing == (hook.kind != "tracepoint") for hook in HOOKS)
    assert all(hook.yields and hook.needs and hook.costs for hook in HOOKS)


def test_offsets_are_those_used(text: str) -> None:
    """Each offset and size that the sources read is looked for, and none in vain."""
    assert used(text, r"\bOFFSET_(?!MASK)(\w+)") == {offset.name for offset in OFFSETS}
    assert used(text, r"\bSIZE_(\w+)") == set(SIZES)
    assert len({offset.name for offset in OFFSETS}) == len(OFFSETS)


def test_limits_are_those_used(text: str) -> None:
    """Each limit sizes a table, and each table's size that is not written out is a limit."""
    sizes = used(text, r"BPF_(?:F_)?TABLE\([^)]*,\s*([A-Z_]+)[,)]") | used(text, r"BPF_RINGBUF_OUTPUT\(\w+, (\w+)\)")
    assert sizes - {"GAUGES"} == set(LIMITS)
    pages = LIMITS["RING_PAGES"]
    assert pages & (pages - 1) == 0


def test_maps_are_there(text: str) -> None:
    """Each map that the reader uses is declared."""
    tables = {arguments.split(", ")[3] for arguments in used(text, r"BPF_(?:F_)?TABLE\((.*)\);")}
    declared = tables | used(text, r"BPF_(?:RINGBUF_OUTPUT|ARRAY|PERCPU_ARRAY)\((\w+)")
    assert set(MAPS) <= declared


def test_gauges_have_the_sources_order(text: str) -> None:
    """The counters' names stand in the order of their numbers."""
    numbered = re.findall(r"GAUGE_(\w+)\s*,", body(text, "gauge"))
    lost = ("FORK", "EXEC", "EXIT", "CONNECT", "SEND", "GPU", "CANDIDATE")
    spoken = {f"LOST_{kind}": f"ring.{kind.lower()}" for kind in lost} | {
        "TRACKED": "tracked",
        "LABEL_FULL": "label.full",
        "GPU_COUNT_FULL": "gpu.counts-full",
        "GPU_INFLIGHT_FULL": "gpu.inflight-full",
    }
    assert tuple(spoken[name] for name in numbered) == GAUGES


def test_label_bits_are_the_sources(text: str) -> None:
    """Bits of a label and the source of an inherited one are the same numbers on both sides."""
    bits = {name: int(shift) for name, shift in re.findall(r"LABEL_(\w+)\s*=\s*1 << (\d+)", body(text, "label_bit"))}
    assert {"AGENT": AGENT, "CALL_ROOT": CALL_ROOT, "GPU": HOLDS_GPU}.items() <= {
        n: 1 << s for n, s in bits.items()
    }.items()
    assert f"SOURCE_INHERITED = {LabelSource.INHERITED}" in body(text, "label_source")


def test_roles_are_the_sources(text: str) -> None:
    """Roles of GPU devices are the same numbers on both sides."""
    roles = {name.lower(): int(number) for name, number in re.findall(r"GPU_ROLE_(\w+)\s*=\s*(\d+)", text)}
    assert {number for name, number in roles.items() if name != "none"} <= set(names.ROLES)

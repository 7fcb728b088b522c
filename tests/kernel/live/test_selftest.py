"""The look in the mirror at start."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.decode.layout import EXEC
from auditor.errors import HostError
from auditor.kernel.probes import Probes
from auditor.live import selftest
from auditor.model.records import FRAME_SIZE, HEADER_SIZE, Kind
from tests.kernel.watching import Watch


class Distorting:
    """The real probes, but for what their ring says of an exec."""

    def __init__(self, probes: Probes, at: int = 0, *, mute: tuple[int, ...] = ()) -> None:
        self._probes = probes
        self._at = at
        self._mute = mute
        self.ring = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._probes, name)

    def take(self, limit: int) -> tuple[bytes, list[int]]:
        """Take a span; in execs, one byte is another, and frames of mute kinds are left out."""
        block, watched = self._probes.ring.take(limit, frozenset({Kind.EXEC, Kind.CONNECT, Kind.EXIT}))
        kept = bytearray(block)
        for at in reversed(watched):
            kind = int.from_bytes(block[at + FRAME_SIZE : at + FRAME_SIZE + 2], "little")
            length = FRAME_SIZE + (int.from_bytes(block[at : at + 4], "little") + 7 & ~7)
            if kind in self._mute:
                del kept[at : at + length]
            elif kind == Kind.EXEC and self._at:
                kept[at + self._at] ^= 1
        return bytes(kept), watched


@pytest.fixture(autouse=True)
def quiet(watch: Watch) -> None:
    """Empty the ring, which all tests share."""
    watch.settle()


def test_true_probes_pass(probes: Probes) -> None:
    """Where the probes tell what /proc tells there is no complaint, nothing is left in the ring, and no label."""
    selftest.self_test(probes)
    assert probes.ring.take(1 << 20)[0] == b""
    assert [label for _, label in probes.labels() if label.session == selftest._SESSION] == []


@pytest.mark.parametrize(("at", "name"), [(8, "parent_tgid"), (12, "uid"), (EXEC.size + 1 - HEADER_SIZE, "executable")])
def test_wrong_offset_is_noticed(probes: Probes, at: int, name: str) -> None:
    """A field that is read from the wrong place is named."""
    with pytest.raises(HostError, match=rf"report a program's {name} wrongly"):
        selftest.self_test(Distorting(probes, FRAME_SIZE + HEADER_SIZE + at))  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "says"), [(Kind.EXEC, "no exec was reported"), (Kind.EXIT, "no exit was reported")])
def test_silent_probe_is_noticed(probes: Probes, kind: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that reports nothing is named, after a while."""
    monkeypatch.setattr(selftest, "_PATIENCE_S", 0.2)
    with pytest.raises(HostError, match=says):
        selftest.self_test(Distorting(probes, mute=(kind,)))  # type: ignore[arg-type]


def test_missing_connection_is_noticed(probes: Probes) -> None:
    """A connection that is not reported is an error that says which."""
    with pytest.raises(HostError, match=r"a connection to 127\.0\.0\.1:9 was reported as nothing"):
        selftest.self_test(Distorting(probes, mute=(Kind.CONNECT,)))  # type: ignore[arg-type]

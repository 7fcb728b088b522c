"""Packs as plain data."""

from __future__ import annotations

import orjson
import pytest

from auditor.model.alerts import RuleInfo
from auditor.rules.pack import Detection, Example, Pack, Sequence, Skipped

INFO = RuleInfo("id", "name", "high", ("attack.t1572",), "author", "text", ("https://example.org",), ("none",))
PACK = Pack(
    (Detection("a", INFO, "process_creation", ("and", ("num", "ProcessId", "<", 2.5), ("not", ("true",))), True, 7),),
    (Sequence("s", INFO, ("a", "a"), ("ToolCallId",), 5, "same-tree", None),),
    (Skipped("file:1", "title", "reason"),),
    (Example("a", "text", False, ({"event.action": "exec"},)),),
)


def test_a_pack_comes_back_from_json_as_it_was() -> None:
    """Tuples, numbers and truth values included."""
    assert Pack.from_json(PACK.to_json()) == PACK
    assert Pack.from_json(Pack().to_json()) == Pack()


def test_another_version_is_refused() -> None:
    """A pack is for the program that wrote it."""
    with pytest.raises(ValueError, match="not a rule pack of this version"):
        Pack.from_json(orjson.dumps({**orjson.loads(PACK.to_json()), "version": 0}))
    with pytest.raises(ValueError, match="not a rule pack"):
        Pack.from_json(b"[]")

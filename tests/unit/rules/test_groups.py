"""Which group an event falls into."""

from __future__ import annotations

from auditor.lineage.table import Table
from auditor.rules.groups import categories, group_key, members, resolve
from auditor.rules.pack import Correlation, Detection, Sequence
from tests.builders import make_connect, make_exec
from tests.unit.rules.test_engine import OUTSIDE, SSH, detection, info

START = detection("start", SSH)
OUT = detection("out", OUTSIDE, "network_connection")
COUNT = Correlation("count", info("count"), "temporal", ("start", "out"), ("ToolCallId",), 5)
ORDER = Sequence("order", info("order"), ("count", "out"), ("who",), 5, aliases=(("who", (("out", "DestinationIp"),)),))
KNOWN: dict[str, Detection | Sequence | Correlation] = {"start": START, "out": OUT, "count": COUNT, "order": ORDER}


def test_a_correlation_ends_with_an_event_of_any_of_its_rules() -> None:
    """Through all the correlations between."""
    assert members(ORDER) == ("count", "out")
    assert set(categories("order", KNOWN)) == {"process_creation", "network_connection"}


def test_an_alias_stands_for_the_field_of_its_rule_alone() -> None:
    """Elsewhere the name is the field's own."""
    assert resolve("who", "out", ORDER) == "DestinationIp"
    assert resolve("who", "count", ORDER) == "who"


def test_a_key_is_read_from_whatever_event_comes() -> None:
    """The same group for an exec and for a connection of one tool call; other fields where they are named."""
    table = Table()
    start, out = make_exec(100), make_connect(100, "203.0.113.9")
    process = table.apply(start)
    assert process is not None
    key = group_key("count", by_key=KNOWN, rule=ORDER, names=["ToolCallId"])
    assert key(start, process) == key(out, process) != ("",)
    assert group_key("out", by_key=KNOWN, rule=ORDER)(out, process) == ("203.0.113.9",)

"""A rule in a few lines."""

from __future__ import annotations

from auditor.model.alerts import RuleInfo
from auditor.rules.pack import Absence, Correlation, Detection, Pack, Sequence
from auditor.rules.portrait import about, code_of, kind, outline, rules_of, stages_of, stands_on

INFO = RuleInfo("r1", "Rule", "high", ("attack.t1572", "attack.command-and-control"))
DETECTION = Detection(
    "one",
    INFO,
    "network_connection",
    ("and", ("num", "DestinationPort", "==", 22), ("eq", "Image", "/bin/a", False), ("re", "CommandLine", "x+")),
)
SEQUENCE = Sequence("both", INFO, ("one", "two"), ("ToolCallId",), 60_000_000_000, join="parent-child")


def test_outline() -> None:
    """What a program wants to know of a rule."""
    assert outline(SEQUENCE, "a.yml:1") == {
        "id": "r1",
        "name": "both",
        "title": "Rule",
        "level": "high",
        "kind": "sequence",
        "stages": ["one", "two"],
        "techniques": ["T1572"],
        "source": "a.yml:1",
    }
    assert (kind(DETECTION), stages_of(DETECTION)) == ("network_connection", ())


def test_about_a_detection() -> None:
    """Every field that it reads, once, with its name in the stream."""
    level, *reads = about(DETECTION)
    assert level == "level high, network_connection"
    assert [line.split(":")[0] for line in reads] == [
        "reads CommandLine (process.command_line)",
        "reads DestinationPort (destination.port)",
        "reads Image (process.executable)",
    ]


def test_about_a_sequence() -> None:
    """Its stages in their order, its window, and what keeps groups apart."""
    assert list(about(SEQUENCE)) == [
        "level high, sequence",
        "stages one, then two, within 60 s; join: parent-child",
        "grouped by ToolCallId",
    ]


def test_about_a_count() -> None:
    """What is counted, and how many it takes."""
    minute = 60_000_000_000
    rule = Correlation("many", INFO, "value_count", ("one",), (), minute, "gt", 9, ("DestinationIp",), until=("two",))
    assert (kind(rule), stages_of(rule), stands_on(rule)) == ("value_count", ("one",), ("one", "two"))
    assert list(about(rule)) == [
        "level high, value_count",
        "different DestinationIp of one, within 60 s, more than 9",
        "grouped by nothing",
        "until two",
    ]


def test_about_what_does_not_come() -> None:
    """What must follow is named, and the rule stands on it too."""
    rule = Correlation("no", INFO, "temporal", ("one",), (), 60_000_000_000, absence=Absence("two", 5_000_000_000))
    assert stands_on(rule) == ("one", "two")
    assert list(about(rule))[-1] == "unless two follows within 5 s"


def test_rules_of_a_pack() -> None:
    """All that can alert, whatever its kind."""
    rule = Correlation("many", INFO, "event_count", ("one",), (), 1)
    assert rules_of(Pack((DETECTION,), (SEQUENCE,), correlations=(rule,))) == [DETECTION, SEQUENCE, rule]


def test_code() -> None:
    """Python that holds together, with the tests in it."""
    code = code_of(DETECTION)
    compile(code, "<rule>", "exec")
    assert "e.port == 22" in code
    assert "# searches of the rule's expressions and networks: k0" in code


def test_code_of_an_authors_text() -> None:
    """What an author wrote stands in the code as a literal."""
    name = "one\nimport os"
    condition = ("eq", "Image", "'); import os #\n", True)
    code = code_of(Detection("one", RuleInfo("r1", name, "low"), "process_creation", condition))
    assert [line for line in code.splitlines() if line.startswith("import")] == []

"""Reading packs: what is understood, what is skipped, and every problem at once with its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from auditor.errors import RuleError
from auditor.rules.pack import Pack
from auditor.rules.sigma import read_pack

RULE = """\
title: A rule
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1001
name: a_rule
logsource:
  product: linux
  category: process_creation
detection:
  selection:
    Image|endswith: /ssh
  condition: selection
level: high
"""
OTHER = RULE.replace("1001", "1002").replace("a_rule", "other_rule").replace("A rule", "Other rule")
SEQUENCE = """\
title: A sequence
id: 6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1003
name: a_sequence
correlation:
  type: temporal_ordered
  rules: [a_rule, other_rule]
  group-by: [ToolCallId]
  timespan: 30s
level: high
auditor:
  join: parent-child
  suppress: 10m
"""


def read(folder: Path, *texts: str) -> Pack:
    """Write each text into a file of its own and read them."""
    for number, text in enumerate(texts):
        (folder / f"rule{number}.yml").write_text(dedent(text))
    return read_pack([folder])


def problems(folder: Path, *texts: str) -> list[str]:
    """Give the problems of a pack, without the folder's name."""
    with pytest.raises(RuleError) as caught:
        read(folder, *texts)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_detection_is_read_with_what_its_alerts_say(tmp_path: Path) -> None:
    """Title, level, tags, author, references and the one-line description come along."""
    text = (
        RULE
        + "tags: [attack.t1572]\nauthor: A. Uthor\ndescription: |\n  two\n  lines\nreferences: [https://example.org]\n"
    )
    (rule,) = read(tmp_path, text).detections
    assert rule.key == "a_rule"
    assert rule.category == "process_creation"
    assert rule.condition == ("ends", "Image", "/ssh", False)
    assert (rule.info.id, rule.info.name) == ("6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1001", "A rule")
    assert (rule.info.level, rule.info.techniques, rule.info.author) == ("high", ("T1572",), "A. Uthor")
    assert (rule.info.description, rule.info.references) == ("two lines", ("https://example.org",))
    assert not rule.silent


def test_a_sequence_is_read_and_silences_its_stages(tmp_path: Path) -> None:
    """Stages raise no alerts unless the correlation says generate."""
    pack = read(tmp_path, RULE, OTHER, SEQUENCE)
    (sequence,) = pack.sequences
    assert sequence.stages == ("a_rule", "other_rule")
    assert (sequence.group_by, sequence.span_ns, sequence.join) == (("ToolCallId",), 30 * 10**9, "parent-child")
    assert sequence.suppress_ns == 600 * 10**9
    assert [rule.silent for rule in pack.detections] == [True, True]
    loud = read(tmp_path, RULE, OTHER, SEQUENCE.replace("timespan", "generate: true\n  timespan"))
    assert [rule.silent for rule in loud.detections] == [False, False]


def test_documents_of_one_file_and_references_by_id_work(tmp_path: Path) -> None:
    """A file may hold several documents, and a sequence may come before its stages and name them by id."""
    sequence = SEQUENCE.replace("[a_rule,", "[6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1001,")
    pack = read(tmp_path, f"{sequence}---\n{RULE}---\n{OTHER}")
    assert pack.sequences[0].stages == ("a_rule", "other_rule")


def test_a_pack_survives_json(tmp_path: Path) -> None:
    """What one process reads, another may take from it as JSON."""
    pack = read(tmp_path, RULE, OTHER, SEQUENCE)
    assert Pack.from_json(pack.to_json()) == pack


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    """Nobody has to run again to see the next mistake."""
    bad = RULE.replace("Image|endswith", "Imag|endswith").replace("level: high", "level: hihg")
    regex = OTHER.replace("Image|endswith: /ssh", "CommandLine|re: '(a'").replace("other_rule", "x")
    found = problems(tmp_path, bad, regex, "a: [", "- 1\n", SEQUENCE)
    assert sorted(line.split(":")[0] for line in found) == sorted(
        ["rule0.yml", "rule0.yml", "rule1.yml", "rule2.yml", "rule3.yml", "rule4.yml"]
    )
    assert any(line.startswith("rule0.yml:9: unknown field 'Imag'") and "Image?" in line for line in found)
    assert any(line.startswith("rule0.yml:11: 'hihg'") for line in found)
    assert any(line.startswith("rule1.yml:9: ") and "missing )" in line for line in found)
    assert any(line.startswith("rule4.yml:6: there is no rule 'other_rule'") for line in found)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("condition: selection", "condition: selction"), "rule0.yml:10: condition: there is no detection 'selction'"),
        (("condition: selection", "condition: 1 of x_*"), "rule0.yml:10: condition: no detection is called 'x_*'"),
        (("condition: selection", "condition: selection and"), "rule0.yml:10: condition:"),
        (("  condition: selection\n", ""), "a detection needs a 'condition'"),
        (
            ("Image|endswith: /ssh", "DestinationPort: 22"),
            "rule0.yml:9: unknown field 'DestinationPort' in process_creation: it is",
        ),
        (("Image|endswith: /ssh", "Image|sounds: /ssh"), "rule0.yml:9: Unknown modifier"),
        (("Image|endswith: /ssh", "Image|cidr: 10.0.0.0/8"), "rule0.yml:9: Image is a text"),
        (("Image|endswith: /ssh", "ProcessId: many"), "rule0.yml:9: ProcessId is a number, not 'many'"),
        (("Image|endswith: /ssh", "ProcessId|gt: many"), "rule0.yml:9:"),
        (("Image|endswith: /ssh", "ExecutableMemfd: 7"), "rule0.yml:9: ExecutableMemfd is true or false"),
        (
            ("Image|endswith: /ssh", "Image|fieldref: ParentImage"),
            "rule0.yml:9: Image is a text: a test by FieldReference",
        ),
        (("Image|endswith: /ssh", "Image|expand: '%list%'"), "rule0.yml:9: placeholder '%list%' is not filled"),
        (("Image|endswith: /ssh", "CommandLine|re: '(a+)+$(?=b)'"), "rule0.yml:9:"),
        (("    Image|endswith: /ssh", "    - ssh"), "rule0.yml:8: keywords without a field"),
        (("    Image|endswith: /ssh", "    '|all': [ssh]"), "rule0.yml:9: keywords without a field"),
        (("level: high", "auditor: {jion: none}"), "rule0.yml:11: 'jion' is not known"),
        (("level: high", "auditor: {suppress: often}"), "rule0.yml:11: 'suppress' is"),
        (("logsource:\n  product: linux\n  category: process_creation\n", ""), "a rule needs a 'logsource'"),
        (("title: A rule\n", ""), "rule0.yml:1: Sigma rule must have a title"),
        (("id: 6a0f", "id: x6a0f"), "rule0.yml:2: Sigma rule identifier must be an UUID"),
        (("level: high", "level: high\nlevel: low"), "rule0.yml:12: 'level' stands here a second time"),
        (("level: high", "filter: []"), "rule0.yml:11: 'filter' is a mapping"),
        (("level: high", "action: global"), "rule0.yml:11: 'action' is not supported"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    """Each thing that can be wrong with a detection has its message."""
    assert change[0] in RULE
    found = problems(tmp_path, RULE.replace(*change))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("type: temporal_ordered", "type: value_avg"), "rule2.yml:5: type 'value_avg' is not supported"),
        (("type: temporal_ordered", "type: temporal"), "rule2.yml:11: 'join' is for temporal_ordered alone"),
        (
            ("type: temporal_ordered", "type: temporally"),
            "rule2.yml:5: type 'temporally' is not a Sigma correlation type",
        ),
        (("timespan: 30s", "until: x"), "rule2.yml:8: 'until' is not known in 'correlation'"),
        (("  timespan: 30s\n", ""), "a correlation needs a 'timespan'"),
        (("timespan: 30s", "timespan: 500ms"), "rule2.yml:8: 'timespan' is a time"),
        (
            ("timespan: 30s", "timespan: 30s\n  aliases: {a: {a_rule: Image}}"),
            "rule2.yml:9: alias 'a' is not in 'group-by'",
        ),
        (("timespan: 30s", "timespan: 30s\n  condition: {gte: 2}"), "rule2.yml:9: an order takes no 'condition'"),
        (("[a_rule, other_rule]", "[a_rule]"), "rule2.yml:6: an order needs two rules or more"),
        (("[a_rule, other_rule]", "[a_rule, a_sequence]"), "rule2.yml:6: 'a_sequence' depends on this rule itself"),
        (("[ToolCallId]", "[DestinationIp]"), "rule2.yml:7: cannot group by 'DestinationIp'"),
        (("[ToolCallId]", "[Args]"), "rule2.yml:7: cannot group by 'Args'"),
        (("join: parent-child", "join: cousin"), "rule2.yml:11: 'join' is one of"),
        (("name: a_sequence", "name: a_rule"), "rule2.yml:3: name 'a_rule' is taken by the rule at"),
        (("1003", "1001"), "rule2.yml:2: id '6a0f1f0e-2b1c-4b0e-9b6b-0d7c2a6f1001' is taken by the rule at"),
    ],
)
def test_a_mistake_in_a_sequence_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    """PySigma lets most of these pass."""
    assert change[0] in SEQUENCE
    found = problems(tmp_path, RULE, OTHER, SEQUENCE.replace(*change))
    assert any(expected in line for line in found), found


def test_a_rule_for_other_logs_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """Other products, services and categories, and Sigma's fields that our events lack, are no mistakes."""
    pack = read(
        tmp_path,
        RULE.replace("product: linux", "product: windows"),
        RULE.replace("1001", "1004").replace("a_rule", "b").replace("category: process_creation", "service: auditd"),
        RULE.replace("1001", "1005").replace("a_rule", "c").replace("process_creation", "file_event"),
        RULE.replace("1001", "1006").replace("a_rule", "d").replace("Image|endswith: /ssh", "LogonId: 0"),
        RULE.replace("1001", "1007").replace("a_rule", "e") + "status: deprecated\n",
        OTHER,
        SEQUENCE,
    )
    assert [(Path(skipped.source).name, skipped.reason) for skipped in pack.skipped] == [
        ("rule0.yml:1", "product windows"),
        ("rule1.yml:1", "service auditd"),
        ("rule2.yml:1", "category file_event"),
        ("rule3.yml:1", "field LogonId"),
        ("rule4.yml:1", "status deprecated"),
        ("rule6.yml:1", "a stage is skipped"),
    ]
    assert [rule.key for rule in pack.detections] == ["other_rule"]


def test_a_path_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """So is a folder without rules."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuleError) as caught:
        read_pack([tmp_path / "no", tmp_path / "empty"])
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "no such file or folder",
        "no rule file (*.yml) in this folder",
    ]


def test_the_engine_needs_no_parser() -> None:
    """Who matches events imports neither pySigma nor YAML."""
    code = (
        "import sys, auditor.rules.engine, auditor.rules.pack; print('sigma' in sys.modules or 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_sigmahqs_linux_rules_run_or_are_skipped_with_a_reason(root: Path) -> None:
    """Of the rules for execs and connections, only those that need a field we lack do not run."""
    folder = root.parent / "shared" / "corpora" / "sigmahq-linux"
    if not folder.is_dir():
        pytest.skip("no copy of SigmaHQ's rules here")
    pack = read_pack([folder])
    running = [rule.category for rule in pack.detections]
    assert running.count("process_creation") == 142
    assert running.count("network_connection") == 2
    assert len(pack.detections) + len(pack.skipped) == 248
    assert all(rule.info.author for rule in pack.detections)
    unserved = [skipped.reason for skipped in pack.skipped if skipped.reason.startswith("field")]
    assert sorted(set(unserved)) == ["field DestinationHostname", "field LogonId"]

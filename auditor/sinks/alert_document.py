"""An alert as the body of a document: whom it is charged to, what it rests on, how far to trust it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from auditor.model.alerts import SEVERITY, Alert, Evidence, Quality, RuleInfo
from auditor.model.events import Exit
from auditor.sinks import ecs
from auditor.sinks.ecs import Document
from auditor.sinks.escape import command, escape
from auditor.sinks.fragments import Fragments

_MESSAGE_LIMIT: Final = 1000


def alert_part(alert: Alert, time: Callable[[int], str], fragments: Fragments) -> Document:
    """Return everything of an alert's document but its time and host. `time` renders a time in ns as text."""
    part: Document = {"event": _event(alert), "message": _message(alert), "rule": _rule(alert.rule)}
    threat = _threat(alert.rule)
    if threat:
        part["threat"] = threat
    if alert.rule.tags:
        part["tags"] = alert.rule.tags
    part["process"] = orjson.Fragment(b"{%b}" % fragments.running(alert.process))
    user = ecs.user_part(alert.process)
    if user:
        part["user"] = user
    inner: Document = {}
    if alert.evidence:
        outer, inner = ecs.deed_part(alert.evidence[-1].event)
        part.update(outer)
    part["auditor"] = {**inner, **_auditor(alert, time)}
    return part


def _event(alert: Alert) -> Document:
    part: Document = {"kind": "alert", "category": ["intrusion_detection"], "type": ["info"]}
    if alert.evidence:
        kind = alert.evidence[-1].event.kind
        part["category"] = ["intrusion_detection", *ecs.category(kind)]
        part["action"] = ecs.ACTIONS[kind]
    part["id"] = alert.id
    part["severity"] = SEVERITY[alert.rule.level]
    return part


def _rule(rule: RuleInfo) -> Document:
    return ecs.filled(
        id=rule.id,
        name=rule.name,
        author=[rule.author] if rule.author else [],
        description=rule.description,
        reference=rule.references,
    )


def _threat(rule: RuleInfo) -> Document:
    techniques = list(dict.fromkeys(name.partition(".")[0] for name in rule.techniques))
    below = [name for name in rule.techniques if "." in name]
    words = [tag.partition(".")[2] for tag in rule.tags if tag.startswith("attack.")]
    tactics = [word for word in words if not word[1:2].isdigit()]
    part: Document = {}
    if tactics:
        part["tactic"] = {"name": tactics}
    if techniques:
        part["technique"] = {"id": techniques}
        if below:
            part["technique"]["subtechnique"] = {"id": below}
    return {"framework": "MITRE ATT&CK", **part} if part else {}


def _auditor(alert: Alert, time: Callable[[int], str]) -> Document:
    part: Document = {"rule": ecs.filled(level=alert.rule.level, false_positives=alert.rule.false_positives)}
    if alert.session is not None:
        part["session"] = ecs.filled(id=alert.session.id, selector=alert.session.selector)
    if alert.call is not None:
        first = alert.call.first
        part["tool_call"] = {"id": alert.call.id}
        if first is not None:
            part["tool_call"] |= {"entity_id": first.entity_id} | ecs.filled(command=first.args)
    part["tree"] = [ecs.node(process) for process in alert.tree]
    part["evidence"] = [_evidence(item, time) for item in alert.evidence]
    part["quality"] = _quality(alert.quality)
    return part


def _evidence(item: Evidence, time: Callable[[int], str]) -> Document:
    event = item.event
    part: Document = {
        "stage": item.stage,
        "@timestamp": time(event.time_ns),
        "action": ecs.ACTIONS[event.kind],
        "pid": item.process.task.tgid,
        "entity_id": item.process.entity_id,
    }
    part.update(ecs.filled(executable=item.executable, args=item.args))
    outer, inner = ecs.deed_part(event)
    for word, fields in (*outer.items(), *inner.items()):
        part[word] = part.get(word, {}) | fields if isinstance(part.get(word), dict) else fields
    if isinstance(event, Exit):
        part.update(ecs.exit_part(event))
    return part


def _quality(quality: Quality) -> Document:
    return {
        "losses": [{"what": what, "count": count} for what, count in quality.losses],
        "lineage_complete": quality.lineage_complete,
        "args_truncated": quality.args_truncated,
        "label_source": quality.label_source,
    }


def _message(alert: Alert) -> str:
    """One line for people, safe to show: what fired, who did it, for whom."""
    line = f"{alert.rule.name}: {escape(ecs.name_of(alert.process)) or 'a process'} (pid {alert.process.task.tgid})"
    if alert.call is not None:
        line += f" in tool call {escape(alert.call.id)}"
    if alert.session is not None:
        line += f" of session {escape(alert.session.id)}"
    if alert.process.args:
        line += f": {command(alert.process.args)}"
    return line if len(line) <= _MESSAGE_LIMIT else line[: _MESSAGE_LIMIT - 1] + "…"

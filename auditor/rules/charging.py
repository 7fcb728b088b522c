"""From a match to an alert: who is charged, on what evidence, and how good that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from auditor.model.alerts import Alert, Evidence, Quality, RuleInfo
from auditor.model.events import Loss
from auditor.model.processes import Process
from auditor.model.records import Flag, LabelSource
from auditor.rules.sequences import Chain

_STEPS: Final = 4096  # no chain of parents is longer; a table gone wrong must not hang the engine

LABEL_SOURCES: Final = {
    LabelSource.NONE: "none",
    LabelSource.SEEDED: "seeded",
    LabelSource.SELECTED: "selected",
    LabelSource.INHERITED: "inherited",
    LabelSource.REGISTERED: "registered",
}


def charge(rule: RuleInfo, stages: Iterable[str], chain: Chain, losses: Iterable[Loss]) -> Alert:
    """Make the alert of a rule whose stages, in order, were matched by the chain's moments."""
    evidence = tuple(
        Evidence(moment.event, moment.process, stage, moment.args, moment.executable)
        for stage, moment in zip(stages, chain, strict=True)
    )
    offender = chain[-1].process
    call = offender.call
    tree = lineage(offender)
    begin_ns = chain[0].time_ns if call is None else min(chain[0].time_ns, call.start_ns)
    return Alert(
        id=identify(rule.id, chain),
        time_ns=chain[-1].time_ns,
        rule=rule,
        process=offender,
        tree=tree,
        session=offender.session,
        call=call,
        evidence=evidence,
        quality=Quality(
            losses=_lost_since(begin_ns, losses),
            lineage_complete=_is_complete(tree, offender),
            args_truncated=any(moment.process.flags & Flag.ARGV_TRUNCATED for moment in chain),
            label_source=LABEL_SOURCES.get(offender.label_source, "none"),
        ),
    )


def scope_of(process: Process) -> object:
    """Give what alerts are charged to: the tool call, or the session, or the process alone."""
    if process.call is not None:
        return process.call.task
    return process.entity_id if process.session is None else process.session.number


def lineage(process: Process) -> tuple[Process, ...]:
    """Give the processes from the tool call's first one (without a call: the session's root) down to the one given."""
    top = None
    if process.call is not None:
        top = process.call.task
    elif process.session is not None:
        top = process.session.root
    path = [process]
    while path[-1].task != top and path[-1].parent is not None and len(path) < _STEPS:
        path.append(path[-1].parent)
    return tuple(reversed(path))


def identify(rule: str, chain: Chain) -> str:
    """Give an alert's id: 32 hexadecimal digits, the same for the same rule and events."""
    parts = [rule]
    for moment in chain:
        task = moment.process.task
        parts.append(f"{moment.event.kind} {moment.time_ns} {task.tgid} {task.start_ns}")
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _lost_since(begin_ns: int, losses: Iterable[Loss]) -> tuple[tuple[str, int], ...]:
    """Sum up the losses reported since a time: each tells of what was lost up to its own."""
    lost: Counter[str] = Counter()
    for loss in losses:
        if loss.time_ns >= begin_ns:
            lost.update(dict(loss.counts))
    return tuple(sorted(lost.items()))


def _is_complete(tree: tuple[Process, ...], offender: Process) -> bool:
    call = offender.call
    first = tree[0]
    reached = first.task == call.task if call is not None else first.parent is None
    return reached and not any(process.seeded for process in tree) and not any(process.elided for process in tree[1:])

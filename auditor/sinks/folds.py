"""Alerts folded by rule and tool call, and the offending tree of each tool call.

A tool call that runs a thousand miners is one row with a count, and one tree. Process objects are kept inside, so that
what ends later is shown as ended; what a process ran is kept as it was when the rule fired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from auditor.model.alerts import LEVELS, Alert
from auditor.model.processes import Process
from auditor.model.records import TaskId
from auditor.sinks.snapshot import AlertRow, CallTree, EvidenceLine, Mark, Node
from auditor.sinks.wording import describe, target

MAX_ROWS: Final = 200
"""Rows kept. The mildest goes first, and of those the one that has been quiet longest, so that no flood of mild
alerts can push a critical one out."""
MAX_OFFENDERS: Final = 8
"""Offenders kept of a row, the latest ones."""
MAX_TREE_OFFENDERS: Final = 32
"""Offenders shown in a tree, the latest ones."""
MAX_EVIDENCE: Final = 16
"""Evidence lines kept of an alert, the latest ones."""
CHAIN_ENDS: Final = 12
"""Of a longer chain of processes, this many are kept at the top and as many at the bottom."""

CallKey: TypeAlias = tuple[str, TaskId]


class _Link:
    """A process in an alert's chain, with what it ran when the rule fired."""

    __slots__ = ("args", "elided", "executable", "process")

    def __init__(self, process: Process, elided: int) -> None:
        self.process = process
        self.args = process.args
        self.executable = process.executable
        self.elided = elided


class _Offence:
    """The latest alert of a rule on one process."""

    __slots__ = ("alert", "chain", "evidence")

    def __init__(self, alert: Alert) -> None:
        self.alert = alert
        self.chain = _chain(alert.tree or (alert.process,))
        self.evidence = tuple(
            EvidenceLine(proof.process.task.tgid, proof.stage, describe(proof.event))
            for proof in alert.evidence[-MAX_EVIDENCE:]
        )
        own = [proof for proof in alert.evidence if proof.process is self.chain[-1].process]
        if own:
            self.chain[-1].args = own[-1].args
            self.chain[-1].executable = own[-1].executable


class _Fold:
    """The alerts of one rule in one tool call."""

    __slots__ = ("call", "count", "first_ns", "key", "last_ns", "offences", "row", "unshown")

    def __init__(self, key: tuple[str, int, int], call: _Call, alert: Alert) -> None:
        self.key = key
        self.call = call
        self.count = 0
        self.first_ns = alert.time_ns
        self.last_ns = alert.time_ns
        self.offences: dict[TaskId, _Offence] = {}
        """By offender, latest last."""
        self.unshown = 0
        self.row: AlertRow | None = None

    def add(self, alert: Alert) -> None:
        offence = _Offence(alert)
        task = offence.chain[-1].process.task
        self.offences.pop(task, None)
        self.offences[task] = offence
        if len(self.offences) > MAX_OFFENDERS:
            del self.offences[next(iter(self.offences))]
            self.unshown += 1
        self.count += 1
        self.last_ns = max(self.last_ns, alert.time_ns)
        self.call.changed = True

    @property
    def latest(self) -> _Offence:
        return next(reversed(self.offences.values()))

    @property
    def rank(self) -> tuple[int, int]:
        """What goes first when room is needed has the lowest."""
        level = self.latest.alert.rule.level
        return (LEVELS.index(level) if level in LEVELS else 0), self.last_ns

    def freeze(self) -> AlertRow:
        tree = self.call.freeze()
        if self.row is not None and self.row.tree is tree and self.row.count == self.count:
            return self.row
        offence = self.latest
        alert = offence.alert
        proof = target(alert)
        self.row = AlertRow(
            key=self.key,
            rule_id=alert.rule.id,
            rule=alert.rule.name,
            level=alert.rule.level,
            session_id=tree.session_id,
            call_id=tree.call_id,
            pid=offence.chain[-1].process.task.tgid,
            args=offence.chain[-1].args,
            target=describe(proof).object if proof else offence.chain[-1].executable,
            count=self.count,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            losses=alert.quality.losses,
            lineage_complete=alert.quality.lineage_complete,
            args_truncated=alert.quality.args_truncated,
            tree=tree,
        )
        return self.row


class _Call:
    """A tool call (or an agent) with the rules that fired in it."""

    __slots__ = ("changed", "folds", "key", "stamp", "tree")

    def __init__(self, key: CallKey) -> None:
        self.key = key
        self.folds: dict[str, _Fold] = {}
        """By rule id."""
        self.changed = True
        self.tree: CallTree | None = None
        self.stamp: tuple[object, ...] = ()

    def freeze(self) -> CallTree:
        """Build the tree, or hand out the last one where nothing in it has changed."""
        if self.changed or self.tree is None:
            self.changed = False
            return self._grow()
        return self.tree if self.stamp == tuple(self._stamp()) else self._grow()

    def _grow(self) -> CallTree:
        self.stamp = tuple(self._stamp())
        offences = self._offences()
        alert = offences[0][1].alert
        shown = offences[:MAX_TREE_OFFENDERS]
        self.tree = CallTree(
            session_id=alert.session.id if alert.session else "",
            selector=alert.session.selector if alert.session else "",
            call_id=alert.call.id if alert.call else "",
            roots=_freeze([offence.chain for _, offence in shown], _marks(shown)),
            left_out=len(offences) - len(shown) + sum(fold.unshown for fold in self.folds.values()),
        )
        return self.tree

    def _offences(self) -> list[tuple[_Fold, _Offence]]:
        """All offences of the call, latest first."""
        found = [(fold, offence) for fold in self.folds.values() for offence in fold.offences.values()]
        return sorted(found, key=lambda pair: pair[1].alert.time_ns, reverse=True)

    def _stamp(self) -> Iterator[object]:
        """All that can change in a tree without another alert."""
        for fold in self.folds.values():
            for offence in fold.offences.values():
                alert = offence.alert
                yield alert.session and alert.session.id
                yield alert.call and alert.call.id
                for link in offence.chain:
                    yield link.process.exit_ns


class Folds:
    """The rows of alerts that are kept."""

    def __init__(self) -> None:
        self.alerts = 0
        self.evicted = 0
        self._folds: dict[tuple[str, int, int], _Fold] = {}
        self._calls: dict[CallKey, _Call] = {}

    def add(self, alert: Alert) -> None:
        """Take an alert in."""
        self.alerts += 1
        charged = _charged(alert)
        call = self._calls.get(charged)
        if call is None:
            call = self._calls[charged] = _Call(charged)
        fold = call.folds.get(alert.rule.id)
        if fold is None:
            key = (f"{alert.rule.id} {charged[0]}", *charged[1])
            fold = call.folds[alert.rule.id] = self._folds[key] = _Fold(key, call, alert)
        fold.add(alert)
        if len(self._folds) > MAX_ROWS:
            self._evict()

    def freeze(self) -> tuple[AlertRow, ...]:
        """All rows, the one that fired last first."""
        folds = sorted(self._folds.values(), key=lambda fold: fold.last_ns, reverse=True)
        return tuple(fold.freeze() for fold in folds)

    def _evict(self) -> None:
        fold = min(self._folds.values(), key=lambda fold: fold.rank)
        del self._folds[fold.key]
        del fold.call.folds[fold.latest.alert.rule.id]
        fold.call.changed = True
        if not fold.call.folds:
            del self._calls[fold.call.key]
        self.evicted += 1


def _charged(alert: Alert) -> CallKey:
    """Whom an alert is charged to: its tool call, else its session, else the process itself."""
    if alert.call is not None:
        return "call", alert.call.task
    if alert.session is not None:
        return "session", alert.session.root
    return "process", alert.process.task


def _chain(tree: tuple[Process, ...]) -> list[_Link]:
    if len(tree) <= 2 * CHAIN_ENDS:
        return [_Link(process, process.elided) for process in tree]
    skipped = tree[CHAIN_ENDS:-CHAIN_ENDS]
    links = [_Link(process, process.elided) for process in (*tree[:CHAIN_ENDS], *tree[-CHAIN_ENDS:])]
    links[CHAIN_ENDS].elided += len(skipped) + sum(process.elided for process in skipped)
    return links


def _marks(offences: Iterable[tuple[_Fold, _Offence]]) -> dict[TaskId, tuple[Mark, ...]]:
    marks: dict[TaskId, tuple[Mark, ...]] = {}
    for fold, offence in offences:
        rule = offence.alert.rule
        mark = Mark(rule.id, rule.name, rule.level, fold.count, offence.evidence)
        task = offence.chain[-1].process.task
        marks[task] = (*marks.get(task, ()), mark)
    return marks


def _freeze(chains: Iterable[list[_Link]], marks: dict[TaskId, tuple[Mark, ...]]) -> tuple[Node, ...]:
    """Join chains that share their upper part into trees. Of a process in several, the first chain's link counts."""
    below: dict[TaskId | None, list[_Link]] = {}
    placed: set[TaskId] = set()
    for chain in chains:
        above: TaskId | None = None
        for link in chain:
            task = link.process.task
            if task not in placed:
                placed.add(task)
                below.setdefault(above, []).append(link)
            above = task

    def nodes(above: TaskId | None) -> tuple[Node, ...]:
        links = sorted(below.get(above, ()), key=lambda link: link.process.task[::-1])
        return tuple(_node(link, marks, nodes(link.process.task)) for link in links)

    return nodes(None)


def _node(link: _Link, marks: dict[TaskId, tuple[Mark, ...]], children: tuple[Node, ...]) -> Node:
    process = link.process
    return Node(
        pid=process.task.tgid,
        args=link.args,
        executable=link.executable,
        elided=link.elided,
        start_ns=process.start_ns,
        exit_ns=process.exit_ns,
        exit_status=process.exit_status,
        marks=marks.get(process.task, ()),
        children=children,
    )

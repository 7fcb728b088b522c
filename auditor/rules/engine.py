"""The rule engine: events in, alerts out; a fold that asks no clock."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from auditor.model.alerts import Alert
from auditor.model.events import Event, Exec, Loss
from auditor.model.processes import Process
from auditor.rules.charging import charge, scope_of
from auditor.rules.compiler import Matcher, compile_category, compile_key
from auditor.rules.fields import CATEGORIES
from auditor.rules.pack import Detection, Pack, Sequence
from auditor.rules.sequences import Chain, Moment, Progress

FIRED_LIMIT: Final = 16_384
"""Suppressions remembered. Past it the oldest is forgotten, and that rule may alert for that tool call once more."""
WAITING_LIMIT: Final = 4096
"""Processes whose events wait for facts about their executable."""
LOSSES_LIMIT: Final = 1024

_new = tuple.__new__

_Group = Callable[[Event, Process], object]


@dataclass(slots=True)
class _Order:
    """A sequence at work."""

    rule: Sequence
    number: int
    progress: Progress
    last: int


@dataclass(slots=True)
class _Rule:
    """A detection at work."""

    rule: Detection
    number: int
    stages: list[tuple[_Order, int, _Group]] = field(default_factory=list)
    """(sequence, stage, group key): later stages first, so that an event is not its own predecessor."""


class Engine:
    """Matches events against a pack.

    Everything it remembers is bounded; what is forgotten for want of room is counted in `evictions`.
    """

    def __init__(self, pack: Pack) -> None:
        self._rules = [_Rule(rule, number) for number, rule in enumerate(pack.detections)]
        self._orders = [
            _Order(rule, len(self._rules) + number, Progress(rule), len(rule.stages) - 1)
            for number, rule in enumerate(pack.sequences)
        ]
        by_key = {rule.rule.key: rule for rule in self._rules}
        for order in self._orders:
            for stage in reversed(range(len(order.rule.stages))):
                rule = by_key[order.rule.stages[stage]]
                rule.stages.append((order, stage, compile_key(rule.rule.category, order.rule.group_by)))
        self._matchers = self._compile()
        self._fired: dict[tuple[int, object], int] = {}
        self._waiting: dict[str, tuple[Process, dict[int, Event]]] = {}
        self._losses: deque[Loss] = deque(maxlen=LOSSES_LIMIT)
        self._facts_seen: object = None
        self._forgotten = 0
        self.suppressed = 0
        """Matches that raised no alert because their rule had fired for the same tool call."""

    @property
    def evictions(self) -> int:
        """What was forgotten for want of room: matches of stages, suppressions, events that waited for facts."""
        return self._forgotten + sum(order.progress.evictions for order in self._orders)

    def observe(self, event: Event, process: Process | None, *, late: bool = False) -> list[Alert]:
        """Take in an event with its acting process, as lineage has it after the event; gives the alerts it raises.

        With `late`, facts about the executable of the process have come: what reads them is looked at again.
        """
        if process is None:
            return []
        if late:
            return self._review(process)
        matcher = self._matchers.get(event.__class__)
        if matcher is None:
            return []
        found = matcher.match(event, process)
        if matcher.open is not None and process.facts is None and (hopeful := matcher.open(event, process)):
            self._wait(hopeful, found, event, process)
        return self._conclude(found, event, process) if found else []

    def lose(self, event: Loss) -> None:
        """Take in a loss, for the alerts of its time."""
        self._losses.append(event)

    def _compile(self) -> dict[type, Matcher]:
        by_category = defaultdict(list)
        for rule in self._rules:
            by_category[rule.rule.category].append((rule.number, rule.rule.condition))
        matchers: dict[type, Matcher] = {}
        for category, rules in by_category.items():
            matcher = compile_category(category, rules)
            for type_ in CATEGORIES[category]:
                matchers[type_] = matchers[type_].beside(matcher) if type_ in matchers else matcher
        return matchers

    def _conclude(self, found: list[int], event: Event, process: Process) -> list[Alert]:
        alerts: list[Alert] = []
        moment: Moment | None = None
        for number in found if len(found) == 1 else sorted(set(found)):
            rule = self._rules[number]
            if not rule.rule.silent:
                key = (number, scope_of(process))
                if self._may_fire(key, rule.rule.suppress_ns, event.time_ns):
                    moment = moment or _moment(event, process)
                    self._fire(alerts, rule.rule, key, (rule.rule.key,), (moment,))
            for order, stage, group in rule.stages:
                is_last = stage == order.last
                if is_last and self._fired:
                    key = (order.number, scope_of(process))
                    if not self._may_fire(key, order.rule.suppress_ns, event.time_ns):
                        continue
                moment = moment or _moment(event, process)
                chain = order.progress.advance(stage, moment, group(event, process))
                if chain is not None:
                    key = (order.number, scope_of(chain[-1].process))
                    if is_last or self._may_fire(key, order.rule.suppress_ns, chain[-1].time_ns):
                        self._fire(alerts, order.rule, key, order.rule.stages, chain)
        return alerts

    def _may_fire(self, key: tuple[int, object], suppress_ns: int | None, time_ns: int) -> bool:
        fired_ns = self._fired.get(key)
        if fired_ns is None or (suppress_ns is not None and time_ns - fired_ns >= suppress_ns):
            return True
        self.suppressed += 1
        return False

    def _fire(
        self,
        alerts: list[Alert],
        rule: Detection | Sequence,
        key: tuple[int, object],
        stages: tuple[str, ...],
        chain: Chain,
    ) -> None:
        self._fired.pop(key, None)
        self._fired[key] = chain[-1].time_ns
        if len(self._fired) > FIRED_LIMIT:
            del self._fired[next(iter(self._fired))]
            self._forgotten += 1
        alerts.append(charge(rule.info, stages, chain, self._losses))

    def _wait(self, hopeful: list[int], found: list[int], event: Event, process: Process) -> None:
        """Remember the event for the rules that facts could still make match it; of each rule, the last event."""
        waiting = self._waiting.get(process.entity_id)
        for number in hopeful:
            if number in found:
                continue
            if waiting is None:
                waiting = self._waiting[process.entity_id] = (process, {})
                if len(self._waiting) > WAITING_LIMIT:
                    del self._waiting[next(iter(self._waiting))]
                    self._forgotten += 1
            waiting[1][number] = event

    def _review(self, process: Process) -> list[Alert]:
        """Look again at the exec of a process, and at the events of all that the same facts are about."""
        event: Any = process.exec_event
        alerts = self._look_again(event, process) if isinstance(event, Exec) else []
        if process.facts is not self._facts_seen:
            self._facts_seen = process.facts
            ready = [key for key, (waiting, _) in self._waiting.items() if waiting.facts is not None]
            for key in ready:
                waiting, events = self._waiting.pop(key)
                for earlier in sorted(set(events.values()), key=lambda event: event.time_ns):
                    alerts += self._look_again(earlier, waiting)
        return alerts

    def _look_again(self, event: Event, process: Process) -> list[Alert]:
        matcher = self._matchers.get(event.__class__)
        if matcher is None or matcher.late is None:
            return []
        found = matcher.late(event, process)
        return self._conclude(found, event, process) if found else []


def _moment(event: Event, process: Process) -> Moment:
    # As Moment(...) does, without its detour through a Python function: one a connection.
    return _new(Moment, (event.time_ns, event, process, process.args, process.executable))

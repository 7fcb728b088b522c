"""The rule engine: events in, alerts out; a fold that asks no clock."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from auditor.model.alerts import Alert
from auditor.model.events import Event, Exec, Loss
from auditor.model.processes import Process
from auditor.rules.charging import charge, scope_of
from auditor.rules.compiler import Matcher, compile_category
from auditor.rules.deadlines import Deadline, Deadlines
from auditor.rules.fields import CATEGORIES
from auditor.rules.groups import group_key
from auditor.rules.pack import Correlation, Detection, Pack, Sequence
from auditor.rules.sequences import Chain, Moment, Progress
from auditor.rules.windows import Found, Window

FIRED_LIMIT: Final = 16_384
"""Suppressions remembered. Past it the oldest is forgotten, and that rule may alert for that tool call once more."""
WAITING_LIMIT: Final = 4096
"""Processes whose events wait for facts about their executable."""
LOSSES_LIMIT: Final = 1024

_new = tuple.__new__

_Group = Callable[[Event, Process], Any]


@dataclass(slots=True)
class _Rule:
    """A rule at work, with what looks at its matches."""

    rule: Detection | Sequence | Correlation
    number: int
    stages: list[tuple[_Order, int, _Group]] = field(default_factory=list)
    """(sequence, stage, group key): later stages first, so that an event is not its own predecessor."""
    counted: list[tuple[_Count, _Group, _Group | None]] = field(default_factory=list)
    """(correlation, group key, the values it counts)."""
    resets: list[tuple[_Order | _Count, _Group]] = field(default_factory=list)
    meets: list[tuple[_Order | _Count, _Group]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Order(_Rule):
    """A sequence at work."""

    rule: Sequence
    state: Progress
    last: int


@dataclass(slots=True, kw_only=True)
class _Count(_Rule):
    """A correlation without an order at work."""

    rule: Correlation
    state: Window


class Engine:
    """Matches events against a pack.

    Everything it remembers is bounded; what is forgotten for want of room is counted in `evictions`.
    """

    def __init__(self, pack: Pack) -> None:
        self._rules = [_Rule(rule, number) for number, rule in enumerate(pack.detections)]
        self._combined: list[_Order | _Count] = []
        for number, order in enumerate(pack.sequences, len(self._rules)):
            self._combined.append(_Order(rule=order, number=number, state=Progress(order), last=len(order.stages) - 1))
        for number, count in enumerate(pack.correlations, len(self._rules) + len(self._combined)):
            self._combined.append(_Count(rule=count, number=number, state=Window(count)))
        self._connect()
        self._deadlines = Deadlines()
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
        return self._forgotten + self._deadlines.evictions + sum(rule.state.evictions for rule in self._combined)

    def observe(self, event: Event, process: Process | None, *, late: bool = False) -> list[Alert]:
        """Take in an event with its acting process, as lineage has it after the event; gives the alerts it raises.

        With `late`, facts about the executable of the process have come: what reads them is looked at again.
        """
        if process is None:
            return []
        if late:
            return self._review(process)
        if event.time_ns > self._deadlines.next_ns:
            return [*self.tick(event.time_ns), *self.observe(event, process)]
        matcher = self._matchers.get(event.__class__)
        if matcher is None:
            return []
        found = matcher.match(event, process)
        if matcher.open is not None and process.facts is None and (hopeful := matcher.open(event, process)):
            self._wait(hopeful, found, event, process)
        return self._conclude(found, event, process) if found else []

    def tick(self, time_ns: int) -> list[Alert]:
        """Take note that the events' clock shows a time, ns since boot; gives the alerts about what did not come."""
        alerts: list[Alert] = []
        for deadline in self._deadlines.over(time_ns):
            self._complete(self._combined[deadline.rule - len(self._rules)], deadline.found, alerts, deadline.due_ns)
        return alerts

    def lose(self, event: Loss) -> None:
        """Take in a loss, for the alerts of its time."""
        self._losses.append(event)

    def _connect(self) -> None:
        """Let every rule know who looks at its matches."""
        by_key = {rule.rule.key: rule for rule in (*self._rules, *self._combined)}
        for rule in self._combined:
            key = partial(group_key, by_key={name: known.rule for name, known in by_key.items()}, rule=rule.rule)
            if isinstance(rule, _Order):
                for stage in reversed(range(len(rule.rule.stages))):
                    name = rule.rule.stages[stage]
                    by_key[name].stages.append((rule, stage, key(name)))
            else:
                for name in rule.rule.rules:
                    values = key(name, names=rule.rule.fields) if rule.rule.fields else None
                    by_key[name].counted.append((rule, key(name), values))
            for name in rule.rule.until:
                by_key[name].resets.append((rule, key(name)))
            if rule.rule.absence is not None:
                name = rule.rule.absence.rule
                by_key[name].meets.append((rule, key(name)))

    def _compile(self) -> dict[type, Matcher]:
        by_category = defaultdict(list)
        for rule in self._rules:
            detection: Any = rule.rule
            by_category[detection.category].append((rule.number, detection.condition))
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
            if rule.stages or rule.counted or rule.resets or rule.meets:
                self._pass_on(rule, moment, event, process, alerts)
        return alerts

    def _pass_on(self, rule: _Rule, moment: Moment | None, event: Event, process: Process, alerts: list[Alert]) -> None:
        """Tell those who look at a rule's matches of one."""
        for target, group in rule.resets:
            target.state.reset(key := group(event, process))
            self._deadlines.drop(target.number, key)
        for target, group in rule.meets:
            self._deadlines.meet(target.number, group(event, process), event.time_ns)
        for order, stage, group in rule.stages:
            if stage == order.last and self._fired and self._is_done(order, event, process):
                continue
            moment = moment or _moment(event, process)
            chain = order.state.advance(stage, moment, group(event, process))
            if chain is not None:
                self._conclude_group(order, Found(order.rule.stages, chain), group(event, process), alerts)
        for count, group, values in rule.counted:
            if self._fired and count.rule.suppress_ns is None and self._is_done(count, event, process):
                continue
            moment = moment or _moment(event, process)
            mark = rule.rule.key if values is None else values(event, process)
            key = group(event, process)
            found = count.state.add(key, mark, rule.rule.key, moment)
            if found is not None:
                self._conclude_group(count, found, key, alerts)

    def _is_done(self, rule: _Order | _Count, event: Event, process: Process) -> bool:
        """Tell whether nobody would hear of a rule's match."""
        if rule.stages or rule.counted or rule.rule.absence is not None or rule.rule.silent:
            return False
        return not self._may_fire((rule.number, scope_of(process)), rule.rule.suppress_ns, event.time_ns)

    def _conclude_group(self, rule: _Order | _Count, found: Found, group: object, alerts: list[Alert]) -> None:
        absence = rule.rule.absence
        if absence is None:
            self._complete(rule, found, alerts)
        else:
            due_ns = found.chain[-1].time_ns + absence.within_ns
            self._deadlines.set(Deadline(due_ns, rule.number, group, found))

    def _complete(self, rule: _Order | _Count, found: Found, alerts: list[Alert], time_ns: int | None = None) -> None:
        """Raise a correlation's alert, and let others use its match."""
        last = found.chain[-1]
        if not rule.rule.silent:
            key = (rule.number, scope_of(last.process))
            if self._may_fire(key, rule.rule.suppress_ns, last.time_ns):
                self._fire(alerts, rule.rule, key, found.stages, found.chain)
                if time_ns is not None:
                    alerts[-1] = replace(alerts[-1], time_ns=time_ns)
        if rule.stages or rule.counted:
            self._pass_on(rule, last, last.event, last.process, alerts)

    def _may_fire(self, key: tuple[int, object], suppress_ns: int | None, time_ns: int) -> bool:
        fired_ns = self._fired.get(key)
        if fired_ns is None or (suppress_ns is not None and time_ns - fired_ns >= suppress_ns):
            return True
        self.suppressed += 1
        return False

    def _fire(
        self,
        alerts: list[Alert],
        rule: Detection | Sequence | Correlation,
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

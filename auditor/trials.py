"""Rules tried on their own examples: each example's events go the way that real ones go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeVar

from auditor.decode.ecs import read_documents
from auditor.errors import CaptureError
from auditor.model.alerts import Alert
from auditor.model.events import Event
from auditor.model.processes import Process
from auditor.pipeline import Pipeline
from auditor.rules.engine import Engine
from auditor.rules.examples import lines
from auditor.rules.pack import Correlation, Detection, Example, Pack, Sequence
from auditor.rules.portrait import rules_of, stands_on

_Rule = TypeVar("_Rule", Detection, Sequence, Correlation)

_LATER: Final = 1 << 62
"""Nanoseconds since boot, after everything that an example can wait for."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An example, tried."""

    example: Example
    matched: bool
    problem: str = ""
    """Why the example's events cannot be read, or empty."""

    @property
    def passed(self) -> bool:
        """The rule did what the example says."""
        return not self.problem and self.matched == self.example.match


def try_examples(pack: Pack) -> Iterator[Trial]:
    """Try every example of a pack, in order. Each has the rule and what that stands on, and starts with nothing.

    After an example's events time goes on, so that what has not come by then is known to be missing.
    """
    ids = {rule.key: rule.info.id for rule in rules_of(pack)}
    engine_of = lru_cache(1)(lambda key: Engine(narrow(pack, key)))
    for example in pack.examples:
        if example.rule not in ids:  # its rule is skipped
            continue
        alerts = _Alerts()
        # Compiling takes a hundred times as long as the events; what is compiled holds no state, and is shared.
        engine = deepcopy(engine_of(example.rule))
        pipeline = Pipeline(engine, sinks=[alerts])
        try:
            pipeline.feed_events(read_documents(lines(example)))
            for alert in engine.tick(_LATER):
                alerts.alert(alert)
        except CaptureError as error:
            yield Trial(example, matched=False, problem=str(error))
        else:
            yield Trial(example, matched=ids[example.rule] in alerts.rules)


def narrow(pack: Pack, key: str) -> Pack:
    """Give the part of a pack that the rule called `key` stands on: itself, no longer silent, and what it combines."""
    by_key = {rule.key: rule for rule in rules_of(pack)}
    wanted, waiting = {key}, [key]
    for name in waiting:
        below = [each for each in stands_on(by_key[name]) if each not in wanted]
        wanted.update(below)
        waiting += below

    def part(rules: Iterable[_Rule]) -> tuple[_Rule, ...]:
        return tuple(replace(rule, silent=rule.silent and rule.key != key) for rule in rules if rule.key in wanted)

    return Pack(part(pack.detections), part(pack.sequences), correlations=part(pack.correlations))


class _Alerts:
    """A sink that keeps the ids of the rules that fired."""

    def __init__(self) -> None:
        self.rules: set[str] = set()

    def event(self, event: Event, process: Process | None) -> None:
        """Take an event."""

    def alert(self, alert: Alert) -> None:
        """Take an alert."""
        self.rules.add(alert.rule.id)

    def close(self) -> None:
        """Nothing more will come."""

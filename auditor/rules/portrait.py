"""A rule in a few lines: what it reads, how it is put together, what it is compiled to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from auditor.rules.conditions import leaves
from auditor.rules.expressions import Expressions
from auditor.rules.fields import FIELDS
from auditor.rules.pack import Correlation, Detection, Pack, Sequence

Rule: TypeAlias = Detection | Sequence | Correlation

_SECOND: Final = 1_000_000_000
_WORDS: Final = {"gt": "more than", "gte": "at least", "lt": "less than", "lte": "at most", "eq": "just", "neq": "not"}


def rules_of(pack: Pack) -> list[Rule]:
    """List all rules that run."""
    return [*pack.detections, *pack.sequences, *pack.correlations]


def kind(rule: Rule) -> str:
    """Tell what a rule looks at: a category of events; other rules in a `sequence`, or the way that Sigma calls it."""
    match rule:
        case Detection():
            return rule.category
        case Sequence():
            return "sequence"
        case _:
            return rule.kind


def stages_of(rule: Rule) -> tuple[str, ...]:
    """Give the keys of the rules that a correlation combines."""
    match rule:
        case Detection():
            return ()
        case Sequence():
            return rule.stages
        case _:
            return rule.rules


def stands_on(rule: Rule) -> tuple[str, ...]:
    """Give the keys of all rules that a rule needs beside itself."""
    if isinstance(rule, Detection):
        return ()
    return (*stages_of(rule), *rule.until, *((rule.absence.rule,) if rule.absence else ()))


def outline(rule: Rule, source: str) -> dict[str, Any]:
    """Describe a rule as a JSON document; `source` is where it stands."""
    return {
        "id": rule.info.id,
        "name": rule.key,
        "title": rule.info.name,
        "level": rule.info.level,
        "kind": kind(rule),
        "stages": list(stages_of(rule)),
        "techniques": list(rule.info.techniques),
        "source": source,
    }


def about(rule: Rule) -> Iterator[str]:
    """Tell people, line by line, what a rule reads."""
    yield f"level {rule.info.level}, {kind(rule)}"
    match rule:
        case Detection():
            fields = FIELDS[rule.category]
            for name in sorted({leaf[1] for leaf in leaves(rule.condition)}):
                yield f"reads {name} ({fields[name].ecs}): {fields[name].meaning}"
            return
        case Sequence():
            yield f"stages {', then '.join(rule.stages)}, within {rule.span_ns // _SECOND} s; join: {rule.join}"
        case _:
            what = f"different {', '.join(rule.fields)} of " if rule.fields else ""
            number = "" if rule.kind == "temporal" else f", {_WORDS.get(rule.op, rule.op)} {rule.count}"
            yield f"{what}{', '.join(rule.rules)}, within {rule.span_ns // _SECOND} s{number}"
    yield f"grouped by {', '.join(rule.group_by) or 'nothing'}"
    if rule.until:
        yield f"until {', '.join(rule.until)}"
    if rule.absence:
        yield f"unless {rule.absence.rule} follows within {rule.absence.within_ns // _SECOND} s"


def code_of(rule: Detection) -> str:
    """Write a detection as the Python function that it would be compiled to if it were alone.

    In a pack it shares its tests with others, and the index leads past most of them.
    """
    constants: dict[str, Any] = {}
    writer = Expressions(FIELDS[rule.category], constants)
    writer.start()
    test = writer.write(rule.condition)
    body = [*writer.prologue(), f"return {test}"]
    sets = [f"{name} = {sorted(value)!r}" for name, value in constants.items() if isinstance(value, frozenset)]
    searches = [name for name, value in constants.items() if not isinstance(value, frozenset)]
    if searches:
        sets.append(f"# searches of the rule's expressions and networks: {', '.join(searches)}")
    return "\n".join([f"# {rule.key}", *sets, "def match(e, p):  # event, process", *(f"    {line}" for line in body)])

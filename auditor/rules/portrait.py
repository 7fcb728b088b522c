"""A rule in a few lines: what it reads, how it is put together, what it is compiled to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from auditor.rules.conditions import leaves
from auditor.rules.expressions import Expressions
from auditor.rules.fields import FIELDS
from auditor.rules.pack import Detection, Sequence

Rule: TypeAlias = Detection | Sequence

_SECOND: Final = 1_000_000_000


def kind(rule: Rule) -> str:
    """Tell what a rule looks at: a category of events, or a `sequence` of other rules."""
    return rule.category if isinstance(rule, Detection) else "sequence"


def stages_of(rule: Rule) -> tuple[str, ...]:
    """Give the keys of the rules that a sequence is made of."""
    return () if isinstance(rule, Detection) else rule.stages


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
    if isinstance(rule, Detection):
        fields = FIELDS[rule.category]
        for name in sorted({leaf[1] for leaf in leaves(rule.condition)}):
            yield f"reads {name} ({fields[name].ecs}): {fields[name].meaning}"
    else:
        yield f"stages {', then '.join(rule.stages)}, within {rule.span_ns // _SECOND} s"
        yield f"grouped by {', '.join(rule.group_by) or 'nothing'}; join: {rule.join}"


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

"""Which group of a correlation an event falls into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Listing
from typing import Any, TypeAlias

from auditor.model.events import Event
from auditor.model.processes import Process
from auditor.rules.compiler import compile_key
from auditor.rules.fields import CATEGORIES
from auditor.rules.pack import Correlation, Detection, Sequence

Rule: TypeAlias = Detection | Sequence | Correlation


def members(rule: Sequence | Correlation) -> tuple[str, ...]:
    """Give the keys of the rules that a correlation combines."""
    return rule.stages if isinstance(rule, Sequence) else rule.rules


def categories(key: str, by_key: Mapping[str, Rule]) -> Iterator[str]:
    """Give the categories of events that a rule's match may end with."""
    rule = by_key[key]
    if isinstance(rule, Detection):
        yield rule.category
    else:
        for member in members(rule):
            yield from categories(member, by_key)


def resolve(name: str, member: str, rule: Sequence | Correlation) -> str:
    """Give the field that stands for a name of `group-by` in the events of a member."""
    return dict(dict(rule.aliases).get(name, ())).get(member, name)


def group_key(
    member: str,
    *,
    by_key: Mapping[str, Rule],
    rule: Sequence | Correlation,
    names: Listing[str] | None = None,
) -> Callable[[Event, Process], Any]:
    """Give a function for the group that an event of a member falls into, or for its values of the fields named."""
    fields = [resolve(name, member, rule) for name in (rule.group_by if names is None else names)]
    found = sorted(set(categories(member, by_key)))
    keys = [compile_key(category, fields) for category in found]
    if len(keys) == 1:
        return keys[0]
    by_type = {type_: key for category, key in zip(found, keys, strict=True) for type_ in CATEGORIES[category]}
    return lambda event, process: by_type[event.__class__](event, process)

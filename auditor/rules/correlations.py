"""Sigma correlations, read and checked against the rules that they combine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationTimespan,
    SigmaCorrelationType,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)
from sigma.exceptions import SigmaError

from auditor.model.alerts import RuleInfo
from auditor.rules.block import Block
from auditor.rules.documents import Document, Problems
from auditor.rules.fields import FIELDS
from auditor.rules.groups import Rule, categories
from auditor.rules.pack import Correlation, Node, Sequence
from auditor.rules.windows import COMPARISONS, COUNT_LIMIT

_KEYS: Final = {"type", "rules", "group-by", "timespan", "generate", "aliases", "condition"}
_KINDS: Final = {"temporal_ordered", "temporal", "event_count", "value_count"}

Find = Callable[[str, str], str | None]
"""(name or id, where it is asked for) to the key of a rule that is known by then, or None after a problem."""


class CorrelationReader:
    """Reads the correlation of one document, whose members are known by now."""

    def __init__(self, document: Document, known: Mapping[str, Rule], find: Find, problems: Problems) -> None:
        self._document = document
        self._data: dict[Any, Any] = document.data["correlation"]
        self._known = known
        self._find = find
        self._problems = problems
        self._sound = True

    def read(self, key: str, info: RuleInfo, block: Block) -> Sequence | Correlation | None:
        """Give the rule, or None after a problem."""
        for name in self._data:
            if name not in _KEYS:
                self._wrong(f"'{name}' is not known in 'correlation'", name)
        kind = self._kind()
        span_ns = self._span()
        if not isinstance(self._data.get("generate", False), bool):
            self._wrong("'generate' is true or false", "generate")
        members = self._members()
        aliases = self._aliases()
        group_by = self._group_by(members, aliases)
        until = tuple(self._other(name, "until", group_by, aliases) for name in block.until)
        absence = block.absence
        if absence is not None:
            absence = replace(absence, rule=self._other(absence.rule, "absent_after", group_by, aliases))
        shared: dict[str, Any] = {
            "group_by": group_by,
            "span_ns": span_ns,
            "suppress_ns": block.suppress_ns,
            "aliases": tuple((name, tuple(fields.items())) for name, fields in aliases.items()),
            "until": until,
            "absence": absence,
        }
        if kind == "temporal_ordered":
            if self._data.get("condition"):
                self._wrong("an order takes no 'condition'", "condition")
            if len(members) < 2 and self._sound:
                self._wrong("an order needs two rules or more", "rules")
            return Sequence(key, info, members, join=block.join, **shared) if self._sound else None
        if block.join != "none":
            self._problems.add(self._document.source("auditor", "join"), "'join' is for temporal_ordered alone")
        more = self._temporal(members) if kind == "temporal" else self._counting(kind, members)
        chosen: Any = kind
        return Correlation(key, info, chosen, members, **more, **shared) if self._sound else None

    def _wrong(self, what: str, *keys: Any) -> None:
        self._sound = False
        self._problems.add(self._document.source("correlation", *keys), what)

    def _kind(self) -> str:
        kind = str(self._data.get("type"))
        if kind not in _KINDS:
            known = kind.upper() in SigmaCorrelationType.__members__
            self._wrong(f"type '{kind}' is not {'supported' if known else 'a Sigma correlation type'}", "type")
        return kind

    def _span(self) -> int:
        try:
            return SigmaCorrelationTimespan(self._data["timespan"]).seconds * 1_000_000_000
        except KeyError:
            self._wrong("a correlation needs a 'timespan', such as 60s", "timespan")
        except (SigmaError, TypeError, ValueError, AttributeError):
            what = f"'timespan' is a time such as 60s, 10m, 1h, 1d, not '{self._data['timespan']}'"
            self._wrong(what, "timespan")
        return 0

    def _members(self) -> tuple[str, ...]:
        names = self._data.get("rules")
        if names is None and isinstance(self._data.get("condition"), str):
            names = list(dict.fromkeys(self._names_in_condition()))
        names = names if isinstance(names, list) else [names]
        found = [
            self._find(str(name), self._document.source("correlation", "rules", at)) for at, name in enumerate(names)
        ]
        if None in found:
            self._sound = False
        return tuple(key for key in found if key is not None)

    def _aliases(self) -> dict[str, dict[str, str]]:
        data = self._data.get("aliases") or {}
        if not isinstance(data, dict) or not all(isinstance(fields, dict) for fields in data.values()):
            self._wrong("'aliases' maps a name to the field of each rule", "aliases")
            return {}
        aliases: dict[str, dict[str, str]] = {}
        for name, fields in data.items():
            aliases[str(name)] = {}
            for rule, field in fields.items():
                key = self._find(str(rule), self._document.source("correlation", "aliases", name, rule))
                self._sound = self._sound and key is not None
                aliases[str(name)][str(key)] = str(field)
        return aliases

    def _group_by(self, members: tuple[str, ...], aliases: dict[str, dict[str, str]]) -> tuple[str, ...]:
        data = self._data.get("group-by")
        names = tuple(map(str, data)) if isinstance(data, list) else () if data is None else (str(data),)
        for member in members:
            self._check_fields(names, member, aliases, "group-by", "group by")
        for name in aliases:
            if name not in names:
                self._wrong(f"alias '{name}' is not in 'group-by'", "aliases", name)
        return names

    def _check_fields(
        self, names: tuple[str, ...], member: str, aliases: dict[str, dict[str, str]], key: str, verb: str
    ) -> None:
        for name in names:
            field_name = aliases.get(name, {}).get(member, name)
            for category in categories(member, self._known):
                field = FIELDS[category].get(field_name)
                if field is None or field.type == "list":
                    self._wrong(f"cannot {verb} '{field_name}': stage '{member}' has no such single value", key)

    def _other(self, name: str, key: str, group_by: tuple[str, ...], aliases: dict[str, dict[str, str]]) -> str:
        """Find a rule that is no member and yet must know the groups."""
        rule = self._find(name, self._document.source("auditor", key))
        if rule is None:
            self._sound = False
            return name
        self._check_fields(group_by, rule, aliases, "group-by", "group by")
        return rule

    def _counting(self, kind: str, members: tuple[str, ...]) -> dict[str, Any]:
        data = self._data.get("condition")
        operators = [name for name in data if name in COMPARISONS] if isinstance(data, dict) else []
        if not isinstance(data, dict) or len(operators) != 1 or set(data) - {"field", *COMPARISONS}:
            known = ", ".join(COMPARISONS)
            self._wrong(f"'condition' holds one of {known}, with a number, and of value_count a 'field'", "condition")
            return {}
        count = data[operators[0]]
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= COUNT_LIMIT:
            self._wrong(
                f"'{operators[0]}' is a whole number up to {COUNT_LIMIT}, not '{count}'", "condition", operators[0]
            )
        named = data.get("field")
        fields = tuple(map(str, named)) if isinstance(named, list) else () if named is None else (str(named),)
        if (kind == "value_count") != bool(fields):
            self._wrong("value_count needs a 'field' in 'condition', and event_count takes none", "condition")
        for member in members:
            self._check_fields(fields, member, {}, "condition", "count values of")
        return {"op": operators[0], "count": count, "fields": fields}

    def _temporal(self, members: tuple[str, ...]) -> dict[str, Any]:
        data = self._data.get("condition")
        if isinstance(data, dict):
            return self._counting("event_count", members)
        if data is None:
            return {"count": len(set(members))}
        if not isinstance(data, str):
            self._wrong("'condition' is words such as: a and not b", "condition")
            return {}
        condition = self._condition(self._parsed(data), members)
        if self._sound and _holds_of_nothing(condition):
            self._wrong("'condition' holds where nothing has happened: it needs a rule that must match", "condition")
        return {"condition": condition}

    def _parsed(self, text: str) -> object:
        try:
            return SigmaExtendedCorrelationCondition(text).parsed
        except SigmaError as error:
            self._wrong(f"condition: {error}", "condition")
            return None

    def _names_in_condition(self) -> Iterator[str]:
        try:
            yield from SigmaExtendedCorrelationCondition(self._data["condition"]).get_referenced_rules()
        except SigmaError as error:
            self._wrong(f"condition: {error}", "condition")

    def _condition(self, item: object, members: tuple[str, ...]) -> Node:
        match item:
            case SigmaRuleReference():
                key = self._find(item.reference, self._document.source("correlation", "condition"))
                if key is not None and key not in members:
                    self._wrong(f"condition: '{item.reference}' is not one of this correlation's rules", "condition")
                self._sound = self._sound and key is not None
                return ("rule", str(key))
            case CorrelationConditionNOT():
                return ("not", self._condition(item.args[0], members))
            case CorrelationConditionAND() | CorrelationConditionOR():
                kind = "and" if isinstance(item, CorrelationConditionAND) else "or"
                return (kind, *(self._condition(part, members) for part in item.args))
            case _:
                self._sound = False
                return ("or",)


def _holds_of_nothing(node: Node) -> bool:
    match node[0]:
        case "rule":
            return False
        case "and":
            return all(map(_holds_of_nothing, node[1:]))
        case "or":
            return any(map(_holds_of_nothing, node[1:]))
        case _:
            return not _holds_of_nothing(node[1])

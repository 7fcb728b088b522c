"""A pack: rules read, checked and lowered to plain data, so that who matches needs no parser.

A condition is a tree of tuples, its node's kind first:

    ("and", node, ...)  ("or", node, ...)  ("not", node)  ("true",)  ("false",)
    ("eq" | "starts" | "ends" | "has", field, text, cased)
    ("glob", field, regular expression of the whole value, cased)
    ("re", field, regular expression)          found anywhere in the value
    ("cidr", field, network)
    ("present", field)
    ("num", field, "==" | "<" | "<=" | ">" | ">=", number)
    ("is", field, bool)

Text that is not `cased` stands in lower case. Regular expressions are RE2's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, TypeAlias

import orjson

from auditor.model.alerts import RuleInfo

Node: TypeAlias = tuple[Any, ...]
Join = Literal["none", "same-tree", "self-or-descendant", "parent-child"]
Counting = Literal["event_count", "value_count", "temporal"]

VERSION = 2
"""Of the JSON form."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A rule over one event."""

    key: str
    """What sequences call it: Sigma's `name`, else its id."""
    info: RuleInfo
    category: str
    condition: Node
    silent: bool = False
    """Only a stage of sequences: raises no alert of its own."""
    suppress_ns: int | None = None
    """Least time between two alerts charged to the same tool call; None: one alert and no more."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A rule that has to match after another one, or that one alerts."""

    rule: str
    within_ns: int
    """After the other's last event, inclusive."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A rule over several events in order (Sigma's `temporal_ordered`)."""

    key: str
    info: RuleInfo
    stages: tuple[str, ...]
    """Keys of detections and of other correlations."""
    group_by: tuple[str, ...]
    span_ns: int
    """From the first stage's event to the last one's, inclusive."""
    join: Join = "none"
    """How the process of each stage is related to that of the stage before."""
    suppress_ns: int | None = None
    aliases: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    """(name in `group_by`, ((rule, field), ...)): fields that stand for it in the events of those rules."""
    silent: bool = False
    """Only a stage of other correlations."""
    until: tuple[str, ...] = ()
    """Keys of detections: one of them, in a group, and the group starts anew."""
    absence: Absence | None = None


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rule over several events, in any order, counted or named."""

    key: str
    info: RuleInfo
    kind: Counting
    rules: tuple[str, ...]
    """Keys of detections and of other correlations."""
    group_by: tuple[str, ...]
    span_ns: int
    """Length of the window, both ends inclusive."""
    op: str = "gte"
    """gt, gte, lt, lte, eq, neq: how the number of distinct things must compare to `count`."""
    count: int = 1
    fields: tuple[str, ...] = ()
    """Of `value_count`: the fields whose values, together, are counted."""
    condition: Node | None = None
    """Of `temporal`: ("rule", key), ("and", ...), ("or", ...), ("not", ...)."""
    suppress_ns: int | None = None
    aliases: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    silent: bool = False
    until: tuple[str, ...] = ()
    absence: Absence | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that is sound but that our events cannot serve."""

    source: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Example:
    """Events that a rule must, or must not, match."""

    rule: str
    """Key of the rule."""
    name: str
    match: bool
    events: tuple[dict[str, Any], ...]
    """Documents in the form of the JSON stream; `auditor.rules.examples` fills in what they leave out."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Everything that was read."""

    detections: tuple[Detection, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    examples: tuple[Example, ...] = field(default=())
    correlations: tuple[Correlation, ...] = ()

    def to_json(self) -> bytes:
        """Write the pack as JSON."""
        return orjson.dumps({"version": VERSION, **asdict(self)})

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` of the same version wrote; raises ValueError for anything else."""
        data = orjson.loads(text)
        if not isinstance(data, dict) or data.get("version") != VERSION:
            raise ValueError("not a rule pack of this version")
        return cls(
            tuple(
                Detection(**{**item, "info": _info(item["info"]), "condition": _frozen(item["condition"])})
                for item in data["detections"]
            ),
            tuple(Sequence(**_correlated(item)) for item in data["sequences"]),
            tuple(Skipped(**item) for item in data["skipped"]),
            tuple(Example(**{**item, "events": tuple(item["events"])}) for item in data["examples"]),
            tuple(Correlation(**_correlated(item)) for item in data["correlations"]),
        )


def _correlated(item: dict[str, Any]) -> dict[str, Any]:
    values = {key: _frozen(value) for key, value in item.items()}
    absence = item["absence"]
    return {**values, "info": _info(item["info"]), "absence": absence and Absence(**absence)}


def _info(data: dict[str, Any]) -> RuleInfo:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return RuleInfo(**values)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value

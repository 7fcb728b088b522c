"""The `auditor:` block of a rule: what Sigma has no word for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, get_args

from auditor.rules.documents import Document, Problems
from auditor.rules.pack import Example, Join

JOINS: Final[tuple[Join, ...]] = get_args(Join)
ONCE: Final = "once-per-group"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Block:
    """What a rule's block says, or the defaults."""

    join: Join = "none"
    suppress_ns: int | None = None
    examples: tuple[tuple[str, bool, tuple[dict[str, Any], ...]], ...] = ()
    """(name, must match, events)."""

    def examples_of(self, rule: str) -> list[Example]:
        """Give the examples, under the rule's key."""
        return [Example(rule, name, match, events) for name, match, events in self.examples]


def read_block(document: Document, problems: Problems, *, sequence: bool) -> Block:
    """Read the block of a detection or a sequence; what is wrong becomes a problem."""
    data = document.data.get("auditor")
    if data is None:
        return Block()
    if not isinstance(data, dict):
        problems.add(document.source("auditor"), "'auditor' is a mapping")
        return Block()
    allowed = {"suppress", "examples"} | ({"join"} if sequence else set())
    for key in data:
        if key not in allowed:
            known = ", ".join(sorted(allowed))
            problems.add(document.source("auditor", key), f"'{key}' is not known in 'auditor' here (known: {known})")
    join = data.get("join", "none")
    if join not in JOINS:
        problems.add(document.source("auditor", "join"), f"'join' is one of {', '.join(JOINS)}, not '{join}'")
        join = "none"
    return Block(join, _suppress(document, data, problems), _examples(document, data.get("examples"), problems))


def _suppress(document: Document, data: dict[str, Any], problems: Problems) -> int | None:
    text = str(data.get("suppress", ONCE))
    if text == ONCE:
        return None
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        what = f"'suppress' is {ONCE} or a time such as 60s, 10m, 1h, 1d, not '{text}'"
        problems.add(document.source("auditor", "suppress"), what)
        return None
    return int(found[1]) * _UNITS[found[2]] * 1_000_000_000


def _examples(
    document: Document, data: object, problems: Problems
) -> tuple[tuple[str, bool, tuple[dict[str, Any], ...]], ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        problems.add(document.source("auditor", "examples"), "'examples' is a list")
        return ()
    examples = []
    for index, item in enumerate(data):
        source = document.source("auditor", "examples", index)
        if not isinstance(item, dict) or set(item) not in ({"match", "events"}, {"no-match", "events"}):
            problems.add(source, "an example has a name under 'match' or 'no-match', and 'events'")
            continue
        events = item["events"]
        if not isinstance(events, list) or not events or not all(isinstance(event, dict) for event in events):
            problems.add(source, "an example's 'events' is a list of one or more documents")
            continue
        match = "match" in item
        examples.append((str(item["match" if match else "no-match"]), match, tuple(events)))
    return tuple(examples)

"""The `auditor:` block of a rule: what Sigma has no word for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, get_args

from auditor.rules.documents import Document, Problems
from auditor.rules.pack import Absence, Example, Join

JOINS: Final[tuple[Join, ...]] = get_args(Join)
ONCE: Final = "once-per-group"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Block:
    """What a rule's block says, or the defaults."""

    join: Join = "none"
    suppress_ns: int | None = None
    until: tuple[str, ...] = ()
    absence: Absence | None = None
    """Its rule by name or id, as written."""
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
    allowed = {"suppress", "examples"} | ({"join", "until", "absent_after"} if sequence else set())
    for key in data:
        if key not in allowed:
            known = ", ".join(sorted(allowed))
            problems.add(document.source("auditor", key), f"'{key}' is not known in 'auditor' here (known: {known})")
    join = data.get("join", "none")
    if join not in JOINS:
        problems.add(document.source("auditor", "join"), f"'join' is one of {', '.join(JOINS)}, not '{join}'")
        join = "none"
    return Block(
        join,
        _suppress(document, data, problems),
        _until(document, data, problems),
        _absence(document, data, problems),
        _examples(document, data.get("examples"), problems),
    )


def _until(document: Document, data: dict[str, Any], problems: Problems) -> tuple[str, ...]:
    names = data.get("until", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        problems.add(document.source("auditor", "until"), "'until' is a list of rules' names")
        return ()
    return tuple(names)


def _absence(document: Document, data: dict[str, Any], problems: Problems) -> Absence | None:
    given = data.get("absent_after")
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) != {"rule", "within"} or not isinstance(given["rule"], str):
        what = "'absent_after' has a rule's name under 'rule', and a time under 'within'"
        problems.add(document.source("auditor", "absent_after"), what)
        return None
    within_ns = _time(str(given["within"]))
    if within_ns is None:
        what = f"'within' is a time such as 60s, 10m, 1h, 1d, not '{given['within']}'"
        problems.add(document.source("auditor", "absent_after", "within"), what)
        return None
    return Absence(given["rule"], within_ns)


def _time(text: str) -> int | None:
    """Read a time, as nanoseconds."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    return None if found is None else int(found[1]) * _UNITS[found[2]] * 1_000_000_000


def _suppress(document: Document, data: dict[str, Any], problems: Problems) -> int | None:
    text = str(data.get("suppress", ONCE))
    if text == ONCE:
        return None
    suppress_ns = _time(text)
    if suppress_ns is None:
        what = f"'suppress' is {ONCE} or a time such as 60s, 10m, 1h, 1d, not '{text}'"
        problems.add(document.source("auditor", "suppress"), what)
    return suppress_ns


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

"""Peers that match the same rules on the same events: SQL statements by pySigma, and the `eql` package."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import eql
import re2
import yaml
from sigma.backends.sqlite import sqliteBackend
from sigma.rule import SigmaRule

from auditor.rules.conditions import leaves
from auditor.rules.documents import Problems, rule_files
from auditor.rules.fields import CATEGORIES, FIELDS, NAMESPACE
from auditor.rules.pack import Detection, Node
from tests.bench.traffic import Acted

Hits = set[tuple[int, str]]
"""(number of the event, rule)."""

_ALL = "SELECT * FROM logs "
_CACHED_EXPRESSIONS = 4096
_FUNCTIONS = {"starts": "startsWith", "ends": "endsWith", "has": "stringContains"}

_values = {
    category: eval(f"lambda e, p: ({', '.join(field.expression for field in fields.values())},)", dict(NAMESPACE))
    for category, fields in FIELDS.items()
}


def categories_of(acted: Acted) -> list[str]:
    """List the categories that an event belongs to."""
    return [category for category, types in CATEGORIES.items() if isinstance(acted[0], types)]


def scalar(rule: Detection) -> bool:
    """Tell whether a rule reads no lists: SQL has none."""
    return all(FIELDS[rule.category][leaf[1]].type != "list" for leaf in leaves(rule.condition))


def plain(rule: Detection) -> bool:
    """Tell whether eql has words for a rule: no expressions, whose dialects differ, no networks, no text with case."""
    return scalar(rule) and all(
        leaf[0] not in {"re", "glob", "cidr"} and not (leaf[0] in {"eq", *_FUNCTIONS} and leaf[3])
        for leaf in leaves(rule.condition)
    )


class Sql:
    """SQLite, asked by the statements that pySigma's backend makes of the rules' own documents."""

    def __init__(self, paths: Sequence[Path], rules: Iterable[Detection]) -> None:
        wanted = {rule.info.id: rule for rule in rules}
        self.statements: list[tuple[str, str]] = []
        backend = sqliteBackend()
        for file in rule_files(paths, Problems()):
            for data in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                rule = wanted.get(str(data.get("id")))
                if rule is None:
                    continue
                for statement in backend.convert_rule(SigmaRule.from_dict(data)):
                    text = str(statement)
                    assert text.startswith(_ALL)
                    self.statements.append((rule.key, f"SELECT number FROM {rule.category} {text[len(_ALL) :]}"))

    def hits(self, stream: Sequence[Acted]) -> Hits:
        """Put the events into tables and ask every statement."""
        database = sqlite3.connect(":memory:")
        compiled: dict[str, Any] = {}

        def found(pattern: str, value: object) -> bool:
            if pattern not in compiled:
                compiled[pattern] = re2.compile(pattern)
            return value is not None and compiled[pattern].search(str(value)) is not None

        database.create_function("REGEXP", 2, found, deterministic=True)
        rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
        for number, acted in enumerate(stream):
            for category in categories_of(acted):
                rows[category].append((number, *map(_sql, _values[category](*acted))))
        for category, fields in FIELDS.items():
            columns = ", ".join(f"{name} COLLATE NOCASE" for name in fields)
            database.execute(f"CREATE TABLE {category} (number INTEGER, {columns})")
            marks = ", ".join("?" * (len(fields) + 1))
            database.executemany(f"INSERT INTO {category} VALUES ({marks})", rows[category])
        return {(number, key) for key, text in self.statements for (number,) in database.execute(text)}


class Eql:
    """The `eql` package's engine, given the rules' conditions in its language."""

    def __init__(self, rules: Iterable[Detection]) -> None:
        self._engine = eql.PythonEngine()
        self._hits: Hits = set()
        self._engine.add_output_hook(self._note)
        for rule in rules:
            query = f"{rule.category} where {_eql(rule.condition)}"
            self._engine.add_analytic(
                eql.parse_analytic({"metadata": {"id": rule.key, "name": rule.key}, "query": query})
            )

    def hits(self, stream: Sequence[Acted]) -> Hits:
        """Stream the events through."""
        self._hits.clear()
        for number, acted in enumerate(stream):
            for category in categories_of(acted):
                names = FIELDS[category]
                values = {name: _text(value) for name, value in zip(names, _values[category](*acted), strict=True)}
                self._engine.stream_event(eql.Event(category, number, {**values, "number": number}))
        return set(self._hits)

    def _note(self, output: Any) -> None:
        self._hits.add((output.events[0].data["number"], output.analytic_id))


def _sql(value: object) -> object:
    if isinstance(value, tuple):
        return "\n".join(value) or None
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if value == "" else value


def _text(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return -1 if isinstance(value, float) and math.isnan(value) else value


def _eql(node: Node) -> str:
    match node[0]:
        case "true" | "false":
            return str(node[0])
        case "and" | "or":
            return "(" + f" {node[0]} ".join(map(_eql, node[1:])) + ")"
        case "not":
            return f"not {_eql(node[1])}"
        case "present":
            return f'{node[1]} != ""'
        case "num":
            return f"{node[1]} {node[2]} {node[3]}"
        case "is":
            return f"{node[1]} == {str(node[2]).lower()}"
    text = '"' + node[2].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if node[0] != "eq":
        return f"{_FUNCTIONS[node[0]]}({node[1]}, {text})"
    if "*" in node[2] or "?" in node[2]:  # wildcards to eql
        return f"(length({node[1]}) == {len(node[2])} and startsWith({node[1]}, {text}))"
    return f"{node[1]} == {text}"

"""Our rules are Sigma that other tools understand: the pack becomes queries of two languages that are not ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sigma.backends.sentinelone_pq import SentinelOnePQBackend
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetectionItem, SigmaRule

from auditor.rules.fields import FIELDS

FOLDER = Path(__file__).parents[2] / "rules"
COLUMNS = sorted({name for fields in FIELDS.values() for name in fields})


class PowerQuery(SentinelOnePQBackend):  # type: ignore[misc]
    """The language alone: the backend's own table of fields knows what SentinelOne's agent sees, and no GPU."""

    backend_processing_pipeline = ProcessingPipeline()


def collection(*, correlations: bool) -> SigmaCollection:
    """Read the pack with pySigma alone."""
    texts = [file.read_text() for file in sorted(FOLDER.rglob("*.yml"))]
    return SigmaCollection.from_yaml(
        "\n---\n".join(text for text in texts if correlations or "\ncorrelation:" not in text)
    )


def fields(rule: SigmaRule) -> set[str]:
    """List the fields that a rule asks for."""
    found, waiting = set(), list(rule.detection.detections.values())
    for detection in waiting:
        for item in detection.detection_items:
            if isinstance(item, SigmaDetectionItem):
                found.add(str(item.field))
            else:
                waiting.append(item)
    return found


def test_pack_becomes_sql() -> None:
    """Every rule, sequences included, becomes a statement that SQLite takes over a table of our fields."""
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE logs (timestamp, {', '.join(COLUMNS)})")
    database.create_function("REGEXP", 2, lambda pattern, value: False)
    rules = collection(correlations=True)
    statements = sqliteBackend().convert(rules)
    # Detections that only correlations ask for give none of their own.
    assert len(statements) == sum(rule._output for rule in rules.rules)
    assert all(rule._output for rule in rules.rules if isinstance(rule, SigmaCorrelationRule))
    assert any("WITH" in statement for statement in statements)
    for statement in statements:
        database.execute(f"EXPLAIN {statement}").fetchall()


def test_detections_become_power_query() -> None:
    """Every detection becomes a query of SentinelOne's, which knows no sequences, and names the fields it is about."""
    rules = collection(correlations=False)
    queries = PowerQuery().convert(rules)
    assert len(queries) == len(rules.rules) > 0
    for rule, query in zip(rules.rules, queries, strict=True):
        assert [name for name in sorted(fields(rule)) if name not in query] == []

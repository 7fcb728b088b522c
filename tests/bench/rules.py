"""How many events a second the rules judge, beside other engines on the same rules and events."""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.rules.compiler import compile_category
from auditor.rules.engine import Engine
from auditor.rules.pack import Detection, Pack
from auditor.rules.portrait import rules_of
from auditor.rules.sigma import read_pack
from tests.bench.engines import Eql, Hits, Sql, categories_of, plain, scalar
from tests.bench.toolkit import Toolkit, report
from tests.bench.traffic import Acted, make_stream
from tests.unit.rules.reference import holds

ROOT = Path(__file__).parents[2]
OURS = ROOT / "rules"
SIGMAHQ = ROOT.parent / "shared" / "corpora" / "sigmahq-linux"
"""A checkout of SigmaHQ's rules; measured without where there is none."""


def measure(_: Toolkit | None, *, events: int, peer_events: int, checked: int) -> dict[str, Any]:
    """Judge `events`, the first `peer_events` of them by eql, the first `checked` by the reference matcher."""
    paths = [OURS, *([SIGMAHQ] if SIGMAHQ.is_dir() else [])]
    pack = read_pack(paths)
    stream = make_stream(events, pack)
    kinds: dict[str, int] = defaultdict(int)
    for event, _process in stream:
        kinds[type(event).__name__] += 1
    engines = [Engine(pack) for _ in range(3)]
    ours_s = min(_timed(lambda engine=engine: _judge(engine, stream))[0] for engine in engines)  # type: ignore[misc]
    report(f"rules: {events} events judged")
    found = hits(pack, stream)
    by_key = {rule.key: rule for rule in pack.detections}
    comparable = {key for key, rule in by_key.items() if scalar(rule)}
    simple = {key for key, rule in by_key.items() if plain(rule)}
    sql = Sql(paths, [by_key[key] for key in sorted(comparable)])
    sql_s, by_sql = _timed(lambda: sql.hits(stream))
    report("rules: SQLite asked")
    other = Eql([by_key[key] for key in sorted(simple)])
    eql_s, by_eql = _timed(lambda: other.hits(stream[:peer_events]))
    report("rules: eql asked")
    checked_s, expected = _timed(lambda: by_reference(pack, stream[:checked]))
    report("rules: reference matcher asked")
    return {
        "rules": len(rules_of(pack)),
        "sigmahq": SIGMAHQ.is_dir(),
        "kinds": dict(kinds),
        "events": events,
        "hits": len(found),
        "ours": {"rules": len(rules_of(pack)), "rate": events / ours_s},
        "sql": _peer(len(comparable), events, sql_s, by_sql ^ _of(found, comparable, events)),
        "eql": _peer(len(simple), peer_events, eql_s, by_eql ^ _of(found, simple, peer_events)),
        "reference": _peer(len(by_key), checked, checked_s, expected ^ _of(found, set(by_key), checked)),
    }


def hits(pack: Pack, stream: list[Acted]) -> Hits:
    """Match every detection with our compiled functions, whether it would alert or not."""
    matchers = {category: compile_category(category, rules).match for category, rules in _numbered(pack).items()}
    return {
        (number, pack.detections[rule].key)
        for number, acted in enumerate(stream)
        for category in categories_of(acted)
        if category in matchers
        for rule in matchers[category](*acted)
    }


def by_reference(pack: Pack, stream: list[Acted]) -> Hits:
    """Match every detection by the plainest interpreter."""
    rules: dict[str, list[Detection]] = defaultdict(list)
    for rule in pack.detections:
        rules[rule.category].append(rule)
    return {
        (number, rule.key)
        for number, acted in enumerate(stream)
        for category in categories_of(acted)
        for rule in rules[category]
        if holds(rule.condition, category, *acted)
    }


def _numbered(pack: Pack) -> dict[str, list[tuple[int, Any]]]:
    rules: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    for number, rule in enumerate(pack.detections):
        rules[rule.category].append((number, rule.condition))
    return rules


def _judge(engine: Engine, stream: list[Acted]) -> None:
    observe = engine.observe
    for event, process in stream:
        observe(event, process)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of CPU time that work takes, and what it gives."""
    gc.collect()
    gc.disable()
    try:
        begun = time.process_time()
        result = work()
        return time.process_time() - begun, result
    finally:
        gc.enable()


def _of(found: Hits, keys: set[str], events: int) -> Hits:
    return {(number, key) for number, key in found if key in keys and number < events}


def _peer(rules: int, events: int, seconds: float, difference: Hits) -> dict[str, Any]:
    return {"rules": rules, "events": events, "rate": events / seconds, "differ": len(difference)}

"""Sigma filters: conditions added to rules that others wrote, to leave out what a site approves of."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from sigma.exceptions import SigmaError
from sigma.rule import SigmaLogSource

from auditor.rules.conditions import every
from auditor.rules.detection import DetectionReader, Unserved, served_category
from auditor.rules.documents import Document, Problems
from auditor.rules.lists import Lists
from auditor.rules.pack import Detection

_NOT: Final = re.compile(r"\bnot\b", re.IGNORECASE)
_ANY: Final = "any"


@dataclass(frozen=True)
class Filter:
    """A filter, ready to be applied."""

    document: Document
    lists: Lists
    problems: Problems
    category: str | None
    """None: rules of every category."""
    rules: tuple[tuple[str, str], ...]
    """(name or id, where it stands); empty: any rule of the category."""

    def apply(self, rule: Detection) -> Detection:
        """Give the rule with the filter's condition; the rule itself, if it is of another category."""
        if self.category not in {None, rule.category}:
            return rule
        reader = DetectionReader(self.document, rule.category, self.problems, section="filter", lists=self.lists)
        try:
            return replace(rule, condition=every([rule.condition, reader.read()]))
        except Unserved as reason:
            self.problems.add(self.document.source("filter"), f"our events do not carry {reason}")
            return rule


class FilterReader:
    """Reads the filter of one document."""

    def __init__(self, document: Document, lists: Lists, problems: Problems) -> None:
        self._document = document
        self._lists = lists
        self._problems = problems

    def read(self) -> Filter | None:
        """Give the filter, or None: after a problem, or where it is for other products."""
        data = self._document.data["filter"]
        if not isinstance(data, dict):
            self._problems.add(self._document.source("filter"), "'filter' is a mapping")
            return None
        self._check_condition(data.get("condition"))
        rules = self._rules(data.get("rules"))
        try:
            source = SigmaLogSource.from_dict(self._document.data["logsource"]).to_dict()
            category = served_category({"category": "process_creation", **source})
        except (SigmaError, KeyError, AttributeError):
            what = "a filter needs a 'logsource' mapping, such as category: process_creation"
            self._problems.add(self._document.source("logsource"), what)
            return None
        except Unserved:
            return None
        if rules is None:
            return None
        return Filter(self._document, self._lists, self._problems, category if "category" in source else None, rules)

    def _check_condition(self, condition: object) -> None:
        texts = condition if isinstance(condition, list) else [condition]
        for text in texts:
            if isinstance(text, str) and not _NOT.search(text):
                what = "a filter's condition is added to the rule's: without 'not' it keeps only what it names"
                self._problems.add(self._document.source("filter", "condition"), what)

    def _rules(self, data: Any) -> tuple[tuple[str, str], ...] | None:
        if data == _ANY:
            return ()
        names = data if isinstance(data, list) else [data]
        if not names or not all(isinstance(name, str) for name in names):
            what = "a filter names its 'rules' by name or id, or says any"
            self._problems.add(self._document.source("filter", "rules"), what)
            return None
        return tuple((name, self._document.source("filter", "rules", at)) for at, name in enumerate(names))

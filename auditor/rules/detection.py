"""Sigma detections, lowered to conditions."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.rule.base import check_alias_expansion
from sigma.rule.detection import EmptySigmaDetections

from auditor.rules.conditions import FALSE, every, negate, some
from auditor.rules.documents import Document, Problems
from auditor.rules.fields import CATEGORIES, FIELDS, Field
from auditor.rules.lists import NO_LISTS, Lists
from auditor.rules.pack import Node
from auditor.rules.taxonomy import ELSEWHERE
from auditor.rules.values import UnfitValueError, lower_item, read_item

PRODUCTS: Final = {None, "linux"}


class Unserved(Exception):  # noqa: N818 - nothing is wrong with the rule
    """Our events do not carry what the rule asks for; the text says what."""


def served_category(logsource: Mapping[str, Any]) -> str:
    """Give the category of events that a log source stands for; raises Unserved."""
    product, category, service = (logsource.get(key) for key in ("product", "category", "service"))
    if product not in PRODUCTS:
        raise Unserved(f"product {product}")
    if service is not None:
        raise Unserved(f"service {service}")
    if category is None:
        raise Unserved("no category: text of logs")
    if category not in CATEGORIES:
        raise Unserved(f"category {category}")
    return str(category)


class DetectionReader:
    """Lowers the detection of one document, or the like in another section of it."""

    def __init__(
        self,
        document: Document,
        category: str,
        problems: Problems,
        *,
        section: str = "detection",
        lists: Lists = NO_LISTS,
    ) -> None:
        self._section = section
        self._lists = lists
        self._document = document
        self._category = category
        self._problems = problems
        self._unserved: list[str] = []

    def read(self) -> Node:
        """Give the rule's condition; raises Unserved. What is wrong becomes a problem."""
        detection = self._document.data.get(self._section)
        if not isinstance(detection, dict):
            self._wrong(f"a rule needs a '{self._section}' mapping", self._section)
            return FALSE
        try:
            check_alias_expansion(detection)
        except SigmaError as error:
            self._wrong(str(error), self._section)
            return FALSE
        nodes = {
            str(name): self._definition(definition, self._section, name)
            for name, definition in detection.items()
            if name != "condition" and not (self._section == "filter" and name == "rules")
        }
        condition = self._conditions(detection.get("condition"), nodes)
        if self._unserved:
            raise Unserved(f"field {', '.join(sorted(set(self._unserved)))}")
        return condition

    def _wrong(self, what: str, *keys: Hashable) -> None:
        self._problems.add(self._document.source(*keys), what)

    def _definition(self, definition: object, *keys: Hashable) -> Node:
        if isinstance(definition, dict) and definition:
            return every(self._item(str(key), value, *keys, key) for key, value in definition.items())
        if isinstance(definition, list) and definition:
            if all(isinstance(item, dict | list) for item in definition):
                return some(self._definition(item, *keys, index) for index, item in enumerate(definition))
            self._wrong("keywords without a field are not supported: say which field they stand in", *keys)
            return FALSE
        if isinstance(definition, dict | list):
            self._wrong("this detection is empty", *keys)
        else:
            self._wrong("keywords without a field are not supported: say which field they stand in", *keys)
        return FALSE

    def _item(self, key: str, value: Any, *keys: Hashable) -> Node:
        try:
            item = read_item(key, value)
            if item.field is None:
                self._wrong("keywords without a field are not supported: say which field they stand in", *keys)
                return FALSE
            field = self._field(item.field, *keys)
            return FALSE if field is None else lower_item(item, field, self._lists)
        except UnfitValueError as error:
            self._wrong(str(error), *keys)
            return FALSE

    def _field(self, name: str, *keys: Hashable) -> Field | None:
        fields = FIELDS[self._category]
        if name in fields:
            return fields[name]
        if name in ELSEWHERE.get(self._category, ()):
            self._unserved.append(name)
            return None
        homes = [category for category, known in FIELDS.items() if name in known]
        if homes:
            hint = f": it is one of {', '.join(homes)}"
        else:
            close = get_close_matches(name, fields, 1)
            hint = f": did you mean {close[0]}?" if close else ""
        self._wrong(f"unknown field '{name}' in {self._category}{hint}", *keys)
        return None

    def _conditions(self, data: object, nodes: dict[str, Node]) -> Node:
        texts = data if isinstance(data, list) else [data]
        if not texts or not all(isinstance(text, str) for text in texts):
            self._wrong(f"a {self._section} needs a 'condition'", self._section, "condition")
            return FALSE
        try:
            return some(
                self._condition(SigmaCondition(str(text), EmptySigmaDetections()).parse(postprocess=False), nodes)
                for text in texts
            )
        except SigmaError as error:
            self._wrong(f"condition: {error}", self._section, "condition")
            return FALSE

    def _condition(self, item: object, nodes: dict[str, Node]) -> Node:
        match item:
            case ConditionIdentifier():
                if item.identifier not in nodes:
                    self._wrong(f"condition: there is no detection '{item.identifier}'", self._section, "condition")
                return nodes.get(item.identifier, FALSE)
            case ConditionSelector():
                chosen = _selected(item.pattern, nodes)
                if not chosen:
                    self._wrong(f"condition: no detection is called '{item.pattern}'", self._section, "condition")
                return every(chosen) if item.args[0] == "all" else some(chosen)
            case ConditionNOT():
                return negate(self._condition(item.args[0], nodes))
            case ConditionAND() | ConditionOR():
                parts = [self._condition(part, nodes) for part in item.args]
                return every(parts) if isinstance(item, ConditionAND) else some(parts)
            case ConditionItem() | _:
                self._wrong("condition: not understood", self._section, "condition")
                return FALSE


def _selected(pattern: str, nodes: dict[str, Node]) -> list[Node]:
    if pattern == "them":
        return [node for name, node in nodes.items() if not name.startswith("_")]
    wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    return [node for name, node in nodes.items() if wanted.fullmatch(name)]

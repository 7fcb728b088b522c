"""Rules by the book: the plainest matcher and the plainest sequence search, to hold the engine against."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import re2

from auditor.model.events import Event
from auditor.model.processes import Process
from auditor.rules.fields import CATEGORIES, FIELDS, NAMESPACE
from auditor.rules.pack import Node

Item = tuple[int, int, Process, object]
"""(time, stage, process, group), in stream order."""


def holds(node: Node, category: str, event: Event, process: Process) -> bool:
    """Evaluate a condition literally."""
    assert isinstance(event, CATEGORIES[category])
    match node[0]:
        case "true":
            return True
        case "false":
            return False
        case "and":
            return all(holds(part, category, event, process) for part in node[1:])
        case "or":
            return any(holds(part, category, event, process) for part in node[1:])
        case "not":
            return not holds(node[1], category, event, process)
    field = FIELDS[category][node[1]]
    value = eval(field.expression, {**NAMESPACE, "e": event, "p": process})
    if field.type == "list":
        return bool(value) if node[0] == "present" else any(_test(node, element) for element in value)
    if node[0] == "present":
        return not math.isnan(value) if field.type == "number" else field.type == "bool" or value != ""
    return _test(node, value)


def _test(node: Node, value: Any) -> bool:
    kind, _, operand = node[:3]
    if kind in {"eq", "starts", "ends", "has", "glob"} and not node[3]:
        value = value.lower()
    match kind:
        case "eq":
            return bool(value == operand)
        case "starts":
            return bool(value.startswith(operand))
        case "ends":
            return bool(value.endswith(operand))
        case "has":
            return operand in value
        case "re" | "glob":
            return re2.search(operand, value) is not None
        case "cidr":
            return _lies_in(value, operand)
        case "is":
            return value is operand
        case "num":
            comparisons: dict[str, Callable[[float, float], bool]] = {
                "==": lambda a, b: a == b,
                "<": lambda a, b: a < b,
                "<=": lambda a, b: a <= b,
                ">": lambda a, b: a > b,
                ">=": lambda a, b: a >= b,
            }
            return comparisons[operand](value, node[3])
    raise AssertionError(kind)


def _lies_in(value: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network)
    except ValueError:
        return False


def related(join: str, earlier: Process, later: Process) -> bool:
    """Tell whether a join holds between the processes of two stages."""
    match join:
        case "none":
            return True
        case "same-tree":
            return earlier.session is later.session
        case "parent-child":
            return later.parent is earlier
    node: Process | None = later
    while node is not None:
        if node is earlier:
            return True
        node = node.parent
    return False


def completes(items: Sequence[Item], number: int, stages: int, span: int, join: str) -> bool:
    """Tell whether the match at `number` ends a whole sequence made of it and earlier ones, trying all of them."""
    last = items[number]
    if last[1] != stages - 1:
        return False
    before = [[place for place in range(number) if items[place][1] == stage] for stage in range(stages - 1)]
    for combination in product(*before):
        places = (*combination, number)
        chain = [items[place] for place in places]
        if (
            list(places) == sorted(places)
            and all(a[0] <= b[0] for a, b in pairwise(chain))
            and chain[-1][0] - chain[0][0] <= span
            and len({item[3] for item in chain}) == 1
            and all(related(join, a[2], b[2]) for a, b in pairwise(chain))
        ):
            return True
    return False

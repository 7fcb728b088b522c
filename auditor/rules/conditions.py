"""Conditions as trees (see `auditor.rules.pack`): put together, simplified, asked what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from auditor.rules.pack import Node

TRUE: Final[Node] = ("true",)
FALSE: Final[Node] = ("false",)


def every(nodes: Iterable[Node]) -> Node:
    """Join by `and`: flat, without doubles, decided where a part decides."""
    return _join("and", nodes, TRUE, FALSE)


def some(nodes: Iterable[Node]) -> Node:
    """Join by `or`: flat, without doubles, decided where a part decides."""
    return _join("or", nodes, FALSE, TRUE)


def negate(node: Node) -> Node:
    """Say the opposite."""
    if node == TRUE:
        return FALSE
    if node == FALSE:
        return TRUE
    return node[1] if node[0] == "not" else ("not", node)


def _join(kind: str, nodes: Iterable[Node], neutral: Node, decisive: Node) -> Node:
    parts: dict[Node, None] = {}
    for node in nodes:
        for part in node[1:] if node[0] == kind else (node,):
            if part == decisive:
                return decisive
            if part != neutral:
                parts[part] = None
    if len(parts) > 1:
        return (kind, *parts)
    return next(iter(parts), neutral)


def leaves(node: Node) -> Iterator[Node]:
    """Walk the tests of a condition, left to right."""
    if node[0] in {"and", "or", "not"}:
        for part in node[1:]:
            yield from leaves(part)
    elif node[0] not in {"true", "false"}:
        yield node


def rewrite(node: Node, change: Callable[[Node, bool], Node], positive: bool = True) -> Node:
    """Put what `change` says in the place of every test, and simplify.

    `change` is given the test, and whether its truth speaks for the whole (False under an odd number of `not`).
    """
    match node[0]:
        case "and":
            return every(rewrite(part, change, positive) for part in node[1:])
        case "or":
            return some(rewrite(part, change, positive) for part in node[1:])
        case "not":
            return negate(rewrite(node[1], change, not positive))
        case "true" | "false":
            return node
        case _:
            return change(node, positive)


def witnesses(node: Node, field: str) -> frozenset[str] | None:
    """Give texts of which the field, in lower case, contains at least one wherever the condition holds.

    None where there is no such set.
    """
    match node[0]:
        case "eq" | "starts" | "ends" | "has":
            # Lower case of a part is part of the whole's lower case, but for a few letters beyond ASCII.
            sound = node[1] == field and node[2] and (not node[3] or node[2].isascii())
            return frozenset({node[2].lower()}) if sound else None
        case "and":
            found = [texts for part in node[1:] if (texts := witnesses(part, field)) is not None]
            return min(found, key=_weakness, default=None)
        case "or":
            union: frozenset[str] = frozenset()
            for part in node[1:]:
                texts = witnesses(part, field)
                if texts is None:
                    return None
                union |= texts
            return union
        case "false":
            return frozenset()
        case _:
            return None


def _weakness(texts: frozenset[str]) -> tuple[bool, int]:
    # Short texts occur everywhere; among sets without one, the smaller asks for less work.
    return min(map(len, texts), default=9) < 3, len(texts)

"""Conditions as trees (see `auditor.rules.pack`): put together, simplified, asked what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from auditor.rules.literals import fold, required
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


def witnesses(node: Node, fields: frozenset[str]) -> frozenset[str] | None:
    """Give texts of which `fold` of some value of the fields contains one wherever the condition holds.

    None where there is no such set. A text never has a NUL.
    """
    match node[0]:
        case "eq" | "starts" | "ends" | "has" | "re" | "glob":
            return _witnesses_of_test(node) if node[1] in fields else None
        case "and":
            found = [texts for part in node[1:] if (texts := witnesses(part, fields)) is not None]
            return min(found, key=_weakness, default=None)
        case "or":
            union: frozenset[str] = frozenset()
            for part in node[1:]:
                texts = witnesses(part, fields)
                if texts is None:
                    return None
                union |= texts
            return union
        case "false":
            return frozenset()
        case _:
            return None


def _witnesses_of_test(leaf: Node) -> frozenset[str] | None:
    if leaf[0] in {"re", "glob"}:
        return required(leaf[2])
    # Lower case of a part is part of the whole's lower case, but for a few letters beyond ASCII.
    text = max(leaf[2].split("\0"), key=len)
    return frozenset({fold(text)}) if text and (not leaf[3] or text.isascii()) else None


def _weakness(texts: frozenset[str]) -> tuple[bool, int]:
    # Short texts occur everywhere; among sets without one, the smaller asks for less work.
    return min(map(len, texts), default=9) < 3, len(texts)

"""What rules ask of the name and path of the program that runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from auditor.rules.conditions import FALSE, TRUE, leaves, rewrite
from auditor.rules.pack import Node

Rules: TypeAlias = Sequence[tuple[int, Node]]
"""(the rule's number, its condition)."""

OTHER: Final = "\0"  # the name of programs that no rule mentions; it cannot be a file's


@dataclass(frozen=True, slots=True)
class WithPath:
    """A process of which nothing but the path of its program is known."""

    executable: str


def possible(node: Node) -> Node:
    """Give what a rule asks for of a program's path, as if all else were as it wants."""

    def at_best(leaf: Node, positive: bool) -> Node:
        if leaf[1] == "Image":
            return leaf
        return TRUE if positive else FALSE

    return rewrite(node, at_best)


def by_name(rules: Rules) -> tuple[dict[str, list[tuple[int, Node]]], list[tuple[int, Node]]]:
    """Part the rules into those that only programs of certain names can match, worked out by name, and the others.

    Every name that any rule mentions has an entry. A rule of several parts, any of which will do, is parted itself.
    """
    named: dict[str, list[tuple[int, Node]]] = defaultdict(list)
    loose = []
    parts = [(number, part) for number, node in rules for part in (node[1:] if node[0] == "or" else (node,))]
    for number, node in parts:
        names = sorted({name for leaf in leaves(node) if (name := _name(leaf)) is not None})
        bound = bool(names) and for_name(node, OTHER) == FALSE
        if not bound:
            loose.append((number, node))
        for name in names:
            left = for_name(node, name) if bound else FALSE
            named[name] += [(number, left)] if left != FALSE else []
    return named, loose


def _name(leaf: Node) -> str | None:
    """Give the last part of the path that a test of Image asks for: `/ssh`."""
    if leaf[1] == "Image" and leaf[0] in {"eq", "ends"} and "/" in leaf[2]:
        return str(leaf[2][leaf[2].rindex("/") :]).lower()
    return None


def for_name(node: Node, name: str) -> Node:
    """Give what is left of a condition where the program has a name."""

    def decide(leaf: Node, positive: bool) -> Node:  # noqa: ARG001 - what is true, is true under `not` too
        asked = _name(leaf)
        if asked is None:
            return leaf
        if asked != name:
            return FALSE
        return TRUE if leaf[0] == "ends" and leaf[2] == asked and not leaf[3] else leaf

    return rewrite(node, decide)

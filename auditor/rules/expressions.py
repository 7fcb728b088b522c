"""Conditions as Python source.

Everything that a rule's author wrote enters the source through `repr()` only. What has no short literal form (sets of
networks, regular expressions) is put into the functions' namespace under a name of ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import methodcaller
from typing import Any, Final

from auditor.rules.conditions import witnesses
from auditor.rules.fields import Field
from auditor.rules.pack import Node
from auditor.rules.patterns import finder, membership

_CASED: Final = {"eq", "starts", "ends", "has", "glob"}
_MERGED: Final = {*_CASED, "re", "cidr", "num"}

SEARCHED: Final = "CommandLine"
WITHIN: Final = frozenset({SEARCHED, "Args", "ArgumentBlock"})
"""What is in one of these fields, NULs aside, is in the first."""

_GUARDS: Final = 6
"""Texts looked for before a search that needs one of them; more cost as much as the search."""
_REMEMBERED: Final = 64
"""Answers kept of a search, which for a process that connects again and again is the same search."""


class Expressions:
    """Turns conditions of one category into expressions over `e` and `p`.

    Values are computed at most once an event: each stands in a local variable, filled at its first use.
    """

    def __init__(self, fields: Mapping[str, Field], namespace: dict[str, Any]) -> None:
        self._fields = fields
        self._namespace = namespace
        self._locals: dict[str, str] = {}

    def start(self, ready: Mapping[str, str] | None = None) -> None:
        """Begin a function; `ready` are expressions that the function is given as local variables."""
        self._locals = dict(ready or {})

    def prologue(self) -> list[str]:
        """Give the lines that a function's body must open with."""
        names = [name for name in self._locals.values() if name.startswith("v")]
        return [f"{' = '.join(names)} = None"] if names else []

    def write(self, node: Node) -> str:
        """Give the expression that is true where the condition holds."""
        match node[0]:
            case "true":
                return "True"
            case "false":
                return "False"
            case "not":
                return f"(not {self.write(node[1])})"
            case "and":
                return f"({' and '.join(map(self.write, sorted(node[1:], key=_cost)))})"
            case "or":
                return f"({' or '.join(map(self._merged, _groups(node[1:])))})"
            case _:
                return self._merged([node])

    def value(self, name: str, *, lower: bool = False) -> str:
        """Give the expression of a field's value."""
        field = self._fields[name]
        expression = field.expression
        if lower and not field.ours:
            expression = f"lowered({expression})" if field.type == "list" else f"{expression}.lower()"
        elif expression.count(".") <= 1 and "(" not in expression:
            return expression
        return self._local(expression)

    def _local(self, expression: str) -> str:
        local = self._locals.setdefault(expression, f"v{len(self._locals)}")
        if not local.startswith("v"):
            return local
        return f"({local} if {local} is not None else ({local} := {expression}))"

    def _merged(self, nodes: list[Node]) -> str:
        """Write tests of one kind on one field, of which any may hold."""
        kind = nodes[0][0]
        if kind in {"and", "or", "not"}:
            return self.write(nodes[0])
        if kind not in _MERGED:
            return self._single(nodes[0])
        guard = self._guard(nodes) if kind in {"re", "glob"} else ""
        return f"({guard} and {self._merged_test(nodes)})" if guard else self._merged_test(nodes)

    def _guard(self, nodes: list[Node]) -> str:
        """Write a test that passes wherever one of the searches can, and is much cheaper; empty if there is none."""
        texts = witnesses(("or", *nodes), WITHIN)
        if not texts or len(texts) > _GUARDS or SEARCHED not in self._fields:
            return ""
        folded = self._local(f"fold({self._fields[SEARCHED].expression})")
        return f"({' or '.join(f'{text!r} in {folded}' for text in sorted(texts))})"

    def _merged_test(self, nodes: list[Node]) -> str:
        kind, name = nodes[0][:2]
        field = self._fields[name]
        cased = nodes[0][3] if kind in _CASED else True
        value = self.value(name, lower=not cased)
        if field.type == "list":
            if kind == "eq":
                return f"(not {self._set(node[2] for node in nodes)}.isdisjoint({value}))"
            return f"{self._name(_of_any(kind, [node[2] for node in nodes]))}({value})"
        return self._test(kind, value, nodes)

    def _test(self, kind: str, value: str, nodes: list[Node]) -> str:
        operands = [node[2] for node in nodes]
        match kind:
            case "eq" if len(operands) == 1:
                return f"{value} == {operands[0]!r}"
            case "eq":
                return f"{value} in {self._set(operands)}"
            case "starts":
                return f"{value}.startswith({tuple(operands)!r})"
            case "ends":
                return f"{value}.endswith({tuple(operands)!r})"
            case "has" if len(operands) == 1:
                return f"{operands[0]!r} in {value}"
            case "has":
                first, *rest = (repr(text) for text in operands)
                return f"({first} in {value}{''.join(f' or {text} in {value}' for text in rest)})"
            case "re" | "glob":
                return f"{self._name(lru_cache(_REMEMBERED)(finder(operands)))}({value})"
            case "cidr":
                return f"{self._name(membership(operands))}({value})"
            case _:
                numbers = [node[3] for node in nodes]
                if operands[0] == "==" and len(numbers) > 1:
                    return f"{value} in {self._set(numbers)}"
                return f"({' or '.join(f'{value} {node[2]} {node[3]!r}' for node in nodes)})"

    def _single(self, node: Node) -> str:
        value = self.value(node[1])
        if node[0] == "is":
            return value if node[2] else f"(not {value})"
        match self._fields[node[1]].type:
            case "number":
                return f"{value} == {value}"  # false for NaN alone
            case "bool":
                return "True"
            case _:
                return f"(not not {value})"

    def _set(self, values: Iterable[Any]) -> str:
        return self._name(frozenset(values))

    def _name(self, value: object) -> str:
        name = f"k{len(self._namespace)}"
        self._namespace[name] = value
        return name


def _groups(nodes: Iterable[Node]) -> list[list[Node]]:
    """Put together the tests that one call can make, cheap ones first."""
    groups: dict[object, list[Node]] = defaultdict(list)
    for number, node in enumerate(sorted(nodes, key=_cost)):
        kind = node[0]
        if kind in {"and", "or", "not"} or kind not in _MERGED:
            groups[number].append(node)
        else:
            groups[kind, node[1], node[3] if kind in _CASED else node[2] == "=="].append(node)
    return list(groups.values())


_COSTS = {"is": 0, "num": 0, "present": 1, "eq": 1, "ends": 2, "starts": 2, "has": 3, "cidr": 5, "glob": 8, "re": 9}


def _cost(node: Node) -> int:
    if node[0] in {"and", "or", "not"}:
        return max(map(_cost, node[1:]))
    return _COSTS.get(node[0], 0)


def _of_any(kind: str, operands: list[str]) -> Callable[[tuple[str, ...]], bool]:
    """Give a function that tells whether any element of a list passes one of the tests of a kind."""
    test: Callable[[str], object]
    match kind:
        case "starts":
            test = methodcaller("startswith", tuple(operands))
        case "ends":
            test = methodcaller("endswith", tuple(operands))
        case "has":
            test = _container(operands)
        case _:
            test = finder(operands)
    return lru_cache(_REMEMBERED)(lambda values: any(map(test, values)))


def _container(operands: list[str]) -> Callable[[str], bool]:
    return lambda text: any(operand in text for operand in operands)

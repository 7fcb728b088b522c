"""Rules of one category as generated Python functions.

Most rules ask for the name of the program that runs. Their conditions are worked out for every name that they mention,
ahead of time: what is left for a name stands in that name's function, found by one look-up. The rules that are not
bound to a name stand behind a gate: one automaton (RE2's) searches the command line for all their texts at once, and
only the rules of the texts found are evaluated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from auditor.model.events import Event, Exec
from auditor.model.processes import Process
from auditor.rules.conditions import FALSE, TRUE, every, leaves, negate, rewrite, witnesses
from auditor.rules.expressions import SEARCHED, WITHIN, Expressions
from auditor.rules.fields import CATEGORIES, FIELDS, NAMESPACE, Field
from auditor.rules.naming import OTHER, Rules, WithPath, by_name, for_name, possible
from auditor.rules.pack import Node
from auditor.rules.patterns import finder, scanner

Match: TypeAlias = Callable[[Event, Process], list[int]]
"""Gives the numbers of the rules that an event matches, in no particular order, some more than once."""

_Functions: TypeAlias = dict[str, tuple[str, list[str]]]  # name -> (parameters, body)

_SEARCH: Final = 10
_REMEMBERED: Final = 512
"""Command lines whose texts are remembered: a build or a loop runs the same ones over and over."""
_LEAST_GATED: Final = 20  # plain tests; fewer are cheaper to make than to guard

_LEAST_ASKING: Final = 3  # rules that ask for a path; fewer are asked each time

_WITH_IMAGE: Final = "e, p, image"


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a category's rules became."""

    match: Match
    late: Match | None
    """The rules that match because of facts about the executable, and did not without; None where no rule reads any."""
    open: Match | None
    """The rules that facts, not known yet, could still make match. None too for execs: a process remembers its own."""

    def beside(self, other: Matcher) -> Matcher:
        """Join with another category's rules, for an event type that both stand for."""
        return Matcher(_both(self.match, other.match), _either(self.late, other.late), _either(self.open, other.open))


def _both(one: Match, other: Match) -> Match:
    return lambda event, process: one(event, process) + other(event, process)


def _either(one: Match | None, other: Match | None) -> Match | None:
    if one is None or other is None:
        return one or other
    return _both(one, other)


def compile_category(category: str, rules: Rules) -> Matcher:
    """Compile the rules of one category."""
    fields = FIELDS[category]
    factual = [(number, node) for number, node in rules if any(fields[leaf[1]].facts for leaf in leaves(node))]
    if not factual:
        return Matcher(_compile(fields, rules), None, None)

    def without(leaf: Node, positive: bool) -> Node:  # noqa: ARG001 - the truth is known either way
        return _of_absent(leaf, fields[leaf[1]]) if fields[leaf[1]].facts else leaf

    def at_best(leaf: Node, positive: bool) -> Node:
        if not fields[leaf[1]].facts:
            return leaf
        return TRUE if positive else FALSE

    late = [(number, every([node, negate(rewrite(node, without))])) for number, node in factual]
    hopeful = [(number, rewrite(node, at_best)) for number, node in factual]
    remembered = CATEGORIES[category] == (Exec,)
    return Matcher(_compile(fields, rules), _compile(fields, late), None if remembered else _compile(fields, hopeful))


def compile_key(category: str, names: Sequence[str]) -> Callable[[Event, Process], Any]:
    """Compile a function that gives the fields' values, as they are, in a form fit for a dictionary's key."""
    fields = FIELDS[category]
    values = "".join(f"{fields[name].expression}, " for name in names)
    key: Callable[[Event, Process], Any] = _build({"key": ("e, p", [f"return ({values})"])}, {})["key"]
    return key


def _of_absent(leaf: Node, field: Field) -> Node:
    """Decide a test of a field that has no value."""
    match leaf[0]:
        case "is":
            holds = not leaf[2]
        case "present":
            holds = field.type == "bool"  # one of the two it always is
        case "eq":
            holds = field.type != "list" and not leaf[2]
        case "re" | "glob":
            holds = field.type != "list" and bool(finder([leaf[2]])(""))
        case _:
            holds = False
    return TRUE if holds else FALSE


def _compile(fields: Mapping[str, Field], rules: Rules) -> Match:
    return _Compilation(fields).compile(rules)


class _Compilation:
    """The functions of one set of rules, as source, and the namespace that they will run in."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._namespace: dict[str, Any] = {}
        self._writer = Expressions(fields, self._namespace)
        self._functions: _Functions = {}
        self._fields = fields
        self._image = f"{fields['Image'].expression}.lower()"
        self._ready: dict[str, str] = {}

    def compile(self, rules: Rules) -> Match:
        named, loose = by_name(rules)
        if named:
            self._dispatch(named, loose)
        else:
            self._functions["match"] = ("e, p", self._body(loose, "loose"))
        built = _build(self._functions, self._namespace)
        built["names"] = {name: built[function] for name, function in built.get("names", {}).items()}
        match: Match = built["match"]
        return match

    def _dispatch(self, named: Mapping[str, Rules], loose: Rules) -> None:
        """Write one function for each name that has rules of its own, one for those that have none, one for others."""
        self._ready = {self._image: "image"}
        of_others = [(number, left) for number, node in loose if (left := for_name(node, OTHER)) != FALSE]
        self._functions["other"] = (_WITH_IMAGE, self._body(of_others, "other"))
        self._functions["loose"] = (_WITH_IMAGE, self._body(loose, "loose"))
        names: dict[str, str] = {}
        for name, bound in named.items():
            names[name] = f"named{len(names)}" if bound else "loose"
            if bound:
                self._writer.start(self._ready)
                tests = self._tests(bound)
                lines = [*self._writer.prologue(), "found = loose(e, p, image)", *tests, "return found"]
                self._functions[names[name]] = (_WITH_IMAGE, lines)
        self._namespace["names"] = names
        by_name = "return names.get(image[image.rfind('/'):], other)(e, p, image)"
        self._functions["match"] = ("e, p", [f"image = {self._image}", by_name])

    def _body(self, rules: Rules, gate: str) -> list[str]:
        """Write the body that evaluates the rules that no name decides, behind a gate where that pays."""
        texts = [witnesses(node, WITHIN) for _, node in rules]
        scan = scanner(sorted({text for found in texts for text in found or ()}))
        lines: list[str] = []
        if scan is None or _cost(rules, texts) < _LEAST_GATED:
            texts = [None] * len(rules)
        else:
            self._namespace[f"scan_{gate}"] = scan
            lines = self._gate([(rule, found) for rule, found in zip(rules, texts, strict=True) if found], gate)
        free = [rule for rule, found in zip(rules, texts, strict=True) if found is None]
        asking = [rule for rule in free if possible(rule[1]) != TRUE]
        by_image = self._by_image(asking, gate) if len(asking) >= _LEAST_ASKING else []
        self._writer.start(self._ready)
        if lines:
            lines = [f"hits = opened_{gate}({self._writer.value(SEARCHED)})", *lines]
        lines += by_image
        lines += self._tests([rule for rule in free if not (by_image and rule in asking)])
        return [*self._writer.prologue(), "found = []", *lines, "return found"]

    def _gate(self, guarded: Sequence[tuple[tuple[int, Node], frozenset[str]]], gate: str) -> list[str]:
        """Write a function for each rule behind the gate; gives the lines that call those whose texts were hit."""
        parameters = _WITH_IMAGE if self._ready else "e, p"
        behind: dict[str, list[str]] = defaultdict(list)
        for (number, node), texts in guarded:
            self._writer.start(self._ready)
            test = self._writer.write(node)
            name = f"gated{len(self._functions)}"
            self._functions[name] = (parameters, [*self._writer.prologue(), f"return {test}"])
            for text in texts:
                behind[text].append(f"({number}, {name})")
        rows = "".join(f"({', '.join(behind[text])},), " for text in sorted(behind))
        self._functions[f"behind_{gate}"] = ("", [f"return ({rows})"])
        self._functions[f"opened_{gate}"] = (
            "text",
            [
                f"hits = scan_{gate}(fold(text))",
                f"return tuple({{pair for hit in hits for pair in behind_{gate}[hit]}}) if hits else ()",
            ],
        )
        return ["for number, test in hits:", f"    if test({parameters}): found.append(number)"]

    def _by_image(self, rules: Rules, gate: str) -> list[str]:
        """Write a function for each rule, and one that tells which of them a program's path leaves possible.

        A path's answer is remembered: on a host few programs run over and over.
        """
        parameters = _WITH_IMAGE if self._ready else "e, p"
        tests = []
        for number, node in rules:
            self._writer.start(self._ready)
            test = self._writer.write(node)
            name = f"asking{len(self._functions)}"
            self._functions[name] = (parameters, [*self._writer.prologue(), f"return {test}"])
            tests.append((number, name, possible(node)))
        # The rest asks for nothing but the path: a stand-in for the process is enough.
        self._writer.start({})
        lines = [f"if {self._writer.write(asked)}: left.append(({number}, {name}))" for number, name, asked in tests]
        body = ["p = with_path(path)", *self._writer.prologue(), "left = []", *lines, "return tuple(left)"]
        self._namespace["with_path"] = WithPath
        self._functions[f"opened_path_{gate}"] = ("path", body)
        return [
            f"for number, test in opened_path_{gate}({self._fields['Image'].expression}):",
            f"    if test({parameters}): found.append(number)",
        ]

    def _tests(self, rules: Rules) -> list[str]:
        return [f"if {self._writer.write(node)}: found.append({number})" for number, node in rules]


def _cost(rules: Rules, texts: Sequence[frozenset[str] | None]) -> int:
    """Give what the rules that a gate could guard cost without it, in plain tests of text."""
    return sum(
        _SEARCH if leaf[0] in {"re", "glob"} else 1
        for (_, node), found in zip(rules, texts, strict=True)
        if found is not None
        for leaf in leaves(node)
    )


def _build(functions: _Functions, namespace: dict[str, Any]) -> dict[str, Any]:
    """Run the functions' source; the namespace then holds them. A `behind_` function is replaced by what it gives.

    An `opened_` one remembers what it gave.
    """
    namespace.update(NAMESPACE)
    for name, (parameters, body) in functions.items():
        # One at a time: the syntax tree of a whole pack's functions takes a hundred times the memory of their source.
        source = f"def {name}({parameters}):\n{''.join(f'    {line}{chr(10)}' for line in body)}"
        exec(compile(source, "<rules>", "exec"), namespace)  # noqa: S102 - of an author's text only repr()s are in it
    for name in functions:
        if name.startswith("behind_"):
            namespace[name] = namespace[name]()
        elif name.startswith("opened_"):
            namespace[name] = lru_cache(_REMEMBERED)(namespace[name])
    return namespace

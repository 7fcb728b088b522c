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
from typing import Any, Final, TypeAlias

from auditor.model.events import Event
from auditor.model.processes import Process
from auditor.rules.conditions import FALSE, TRUE, every, leaves, negate, rewrite, witnesses
from auditor.rules.expressions import Expressions
from auditor.rules.fields import FIELDS, NAMESPACE, Field
from auditor.rules.pack import Node
from auditor.rules.patterns import finder, scanner

Rules: TypeAlias = Sequence[tuple[int, Node]]
"""(the rule's number, its condition)."""

Match: TypeAlias = Callable[[Event, Process], list[int]]
"""Gives the numbers of the rules that an event matches, in no particular order."""

_Functions: TypeAlias = dict[str, tuple[str, list[str]]]  # name -> (parameters, body)

_GATED: Final = "CommandLine"
_LEAST_GATED: Final = 4  # rules; fewer are cheaper to evaluate than to search for

_OTHER: Final = "\0"  # the name of programs that no rule mentions; it cannot be a file's


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a category's rules became."""

    match: Match
    late: Match | None
    """The rules that match because of facts about the executable, and did not without; None where no rule reads any."""
    open: Match | None
    """The rules that facts, not known yet, could still make match."""

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
    return Matcher(_compile(fields, rules), _compile(fields, late), _compile(fields, hopeful))


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
        case "eq":
            holds = field.type != "list" and not leaf[2]
        case "re" | "glob":
            holds = field.type != "list" and bool(finder([leaf[2]])(""))
        case _:
            holds = False
    return TRUE if holds else FALSE


def _compile(fields: Mapping[str, Field], rules: Rules) -> Match:
    namespace: dict[str, Any] = {}
    writer = Expressions(fields, namespace)
    named, loose = _by_name(rules)
    functions: _Functions = {}
    if not named:
        functions["match"] = ("e, p", _loose(writer, functions, namespace, loose, {}))
        return _built(functions, namespace)
    image = {f"{fields['Image'].expression}.lower()": "image"}
    functions["loose"] = ("e, p, image", _loose(writer, functions, namespace, loose, image))
    for number, bound in enumerate(named.values()):
        writer.start(image)
        tests = _tests(writer, bound)
        lines = [*writer.prologue(), "found = loose(e, p, image)", *tests, "return found"]
        functions[f"named{number}"] = ("e, p, image", lines)
    functions["match"] = (
        "e, p",
        [
            f"image = {next(iter(image))}",
            "return names.get(image[image.rfind('/'):], loose)(e, p, image)",
        ],
    )
    match = _built(functions, namespace)
    namespace["names"] = {name: namespace[f"named{number}"] for number, name in enumerate(named)}
    return match


def _by_name(rules: Rules) -> tuple[dict[str, list[tuple[int, Node]]], list[tuple[int, Node]]]:
    """Part the rules into those that only programs of certain names can match, worked out by name, and the others."""
    named: dict[str, list[tuple[int, Node]]] = defaultdict(list)
    loose = []
    for number, node in rules:
        names = {name for leaf in leaves(node) if (name := _name(leaf)) is not None}
        if not names or _for_name(node, _OTHER) != FALSE:
            loose.append((number, node))
            continue
        for name in sorted(names):
            left = _for_name(node, name)
            if left != FALSE:
                named[name].append((number, left))
    return named, loose


def _name(leaf: Node) -> str | None:
    """Give the last part of the path that a test of Image asks for: `/ssh`."""
    if leaf[1] == "Image" and leaf[0] in {"eq", "ends"} and "/" in leaf[2]:
        return str(leaf[2][leaf[2].rindex("/") :]).lower()
    return None


def _for_name(node: Node, name: str) -> Node:
    def decide(leaf: Node, positive: bool) -> Node:  # noqa: ARG001 - what is true, is true under `not` too
        asked = _name(leaf)
        if asked is None:
            return leaf
        if asked != name:
            return FALSE
        return TRUE if leaf[0] == "ends" and leaf[2] == asked and not leaf[3] else leaf

    return rewrite(node, decide)


def _loose(
    writer: Expressions, functions: _Functions, namespace: dict[str, Any], rules: Rules, ready: Mapping[str, str]
) -> list[str]:
    """Write the body that evaluates the rules that no name decides, behind a gate where that pays."""
    texts = {number: witnesses(node, _GATED) for number, node in rules}
    gated = [(number, node) for number, node in rules if texts[number] is not None]
    scan = scanner(sorted({text for number, _ in gated for text in texts[number] or ()}))
    if len(gated) < _LEAST_GATED or scan is None:
        gated = []
    parameters = ", ".join(["e, p", *ready.values()])
    by_text: dict[str, list[str]] = defaultdict(list)
    for number, node in gated:
        writer.start(ready)
        test = writer.write(node)
        functions[f"gated{number}"] = (parameters, [*writer.prologue(), f"return {test}"])
        for text in texts[number] or ():
            by_text[text].append(f"({number}, gated{number})")
    namespace["scan"] = scan
    writer.start(ready)
    lines = ["found = []"]
    if gated:
        entries = "".join(f"({', '.join(by_text[text])},), " for text in sorted(by_text))
        functions["candidates"] = ("", [f"return ({entries})"])
        lines += [
            f"hits = scan({writer.value(_GATED, lower=True)})",
            "if hits:",
            "    for number, test in {pair for hit in hits for pair in candidates[hit]}:",
            f"        if test({parameters}): found.append(number)",
        ]
    kept = {number for number, _ in gated}
    lines += _tests(writer, [(number, node) for number, node in rules if number not in kept])
    return [*writer.prologue(), *lines, "return found"]


def _tests(writer: Expressions, rules: Rules) -> list[str]:
    return [f"if {writer.write(node)}: found.append({number})" for number, node in rules]


def _built(functions: _Functions, namespace: dict[str, Any]) -> Match:
    match: Match = _build(functions, namespace)["match"]
    return match


def _build(functions: _Functions, namespace: dict[str, Any]) -> dict[str, Any]:
    """Run the functions' source; the namespace then holds them."""
    source = "".join(
        f"def {name}({parameters}):\n{''.join(f'    {line}{chr(10)}' for line in body)}"
        for name, (parameters, body) in functions.items()
    )
    namespace.update(NAMESPACE)
    exec(compile(source, "<rules>", "exec"), namespace)  # noqa: S102 - of an author's text only repr()s are in it
    if "candidates" in functions:
        namespace["candidates"] = namespace["candidates"]()
    return namespace

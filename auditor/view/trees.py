"""The offending tree of a tool call: session, tool call, processes, and under each offender what it is charged with.

Where the tree is higher than its panel, the lines that tell least are left out, never the offender that was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from auditor.sinks.snapshot import AlertRow, EvidenceLine, Mark, Node
from auditor.sinks.wording import ending
from auditor.view.glyphs import CALL, DIM, LEVELS, OFFENDER, STRONG, TARGET, Glyphs
from auditor.view.panels import age, level, shown, shown_command
from auditor.view.strips import Strip, piece, spread

_PASSING: Final = 0  # a process that only leads to an offender
_BESIDE: Final = 1  # evidence of another rule
_CONTEXT: Final = 2  # the session; evidence of the chosen rule; the call's first process
_OTHER: Final = 3  # another offender and its rule
_CALL: Final = 4
_CHOSEN: Final = 5

_COLUMN: Final = 100
"""How processes fared stands here at their line's end; further right the eye would lose the line."""


class TreeLine(NamedTuple):
    """A line of the tree."""

    weight: int
    """What is left out first has the lowest."""
    indent: str
    strip: Strip


def offence(row: AlertRow, now_ns: int, width: int, height: int, glyphs: Glyphs) -> list[Strip]:
    """Draw the tree that a row belongs to, in at most `height` lines."""
    drawing = _Drawing(row, now_ns, width, glyphs)
    return fit(list(drawing.lines()), height, width, glyphs)


class _Drawing:
    """One drawing of a tree, for the row that was chosen."""

    def __init__(self, row: AlertRow, now_ns: int, width: int, glyphs: Glyphs) -> None:
        self.row = row
        self.now_ns = now_ns
        self.width = width
        self.glyphs = glyphs

    def lines(self) -> Iterator[TreeLine]:
        tree = self.row.tree
        glyphs = self.glyphs
        session = piece(" session ", DIM) + piece(shown(tree.session_id or "(none)", self.width, glyphs), STRONG)
        yield self._line(_CONTEXT, "", session + piece("  " + shown(tree.selector, self.width, glyphs), DIM))
        charged = piece("tool call ", DIM) + piece(shown(tree.call_id, self.width, glyphs), CALL)
        if not tree.call_id:
            charged = piece("the agent itself", CALL)
        yield self._line(_CALL, f" {glyphs.last}", charged)
        yield from self._nodes(tree.roots, " " * 4, _CONTEXT)
        if tree.left_out:
            yield self._line(_OTHER, " " * 4, piece(f"and {tree.left_out:,} more offenders", DIM))

    def _nodes(self, nodes: tuple[Node, ...], indent: str, weight: int) -> Iterator[TreeLine]:
        for node in nodes:
            is_last = node is nodes[-1]
            guide = self.glyphs.last if is_last else self.glyphs.branch
            below = indent + (" " * 3 if is_last else self.glyphs.pipe)
            if node.elided:
                yield self._line(_PASSING, indent, piece(f"{self.glyphs.ellipsis} {node.elided:,} in between", DIM))
            yield self._process(node, indent + guide, weight)
            yield from self._charges(node, below + (self.glyphs.pipe if node.children else ""))
            yield from self._nodes(node.children, below, _PASSING)

    def _process(self, node: Node, indent: str, weight: int) -> TreeLine:
        for mark in node.marks:
            weight = max(weight, _CHOSEN if mark.rule_id == self.row.rule_id else _OTHER)
        left = piece(f"{node.pid} ", DIM)
        if node.args and _name(node.executable) != _name(node.args[0]):
            left += piece(f"[{shown(node.executable, self.width, self.glyphs)}] ", DIM)
        text = shown_command(node.args, self.width, self.glyphs) or shown(node.executable, self.width, self.glyphs)
        left += piece(text, OFFENDER if node.marks else "")
        return self._line(weight, indent, left, piece(f"{state(node, self.now_ns)} ", DIM))

    def _charges(self, node: Node, indent: str) -> Iterator[TreeLine]:
        for mark in node.marks:
            chosen = mark.rule_id == self.row.rule_id
            yield self._line(_CHOSEN if chosen else _OTHER, indent, self._mark(mark))
            for evidence in mark.evidence:
                weight = _BESIDE if not chosen else _CALL if evidence is mark.evidence[-1] else _CONTEXT
                yield self._line(weight, f"{indent}  ", self._evidence(evidence, node))

    def _mark(self, mark: Mark) -> Strip:
        times = f" {self.glyphs.times}{mark.count:,}" if mark.count > 1 else ""
        sign = piece(f"{self.glyphs.mark} ", LEVELS.get(mark.level, ""))
        return sign + level(mark.level) + piece(f" {shown(mark.rule, self.width, self.glyphs)}{times}", STRONG)

    def _evidence(self, evidence: EvidenceLine, node: Node) -> Strip:
        glyphs = self.glyphs
        verb, thing, details = evidence.line
        strip = piece(f"{glyphs.arrow} {verb} ", DIM)
        if evidence.pid != node.pid:
            strip = piece(f"{glyphs.arrow} {evidence.pid} {verb} ", DIM)
        if verb in {"exec", "running"}:
            return strip + piece(shown_command(details, self.width, glyphs))
        words = piece(shown(" ".join(details), self.width, glyphs))
        return strip + (piece(shown(thing, self.width, glyphs), TARGET) + piece(" ") + words if thing else words)

    def _line(self, weight: int, indent: str, left: Strip, right: Strip | None = None) -> TreeLine:
        left = piece(indent, DIM) + left
        right = right or Strip()
        span = max(min(self.width, _COLUMN), min(self.width, left.width + 2 + right.width))
        strip = spread(left, right, span, self.glyphs.ellipsis).padded(self.width)
        return TreeLine(weight, indent, strip)


def state(node: Node, now_ns: int) -> str:
    """Say whether a process runs or how it ended, and how long it has lived."""
    if node.exit_ns is None:
        return f"running {age(now_ns - node.start_ns)}"
    how = "ended" if node.exit_status is None else ending(node.exit_status)
    return f"{how} after {age(node.exit_ns - node.start_ns)}"


def fit(lines: list[TreeLine], height: int, width: int, glyphs: Glyphs) -> list[Strip]:
    """Leave lines out, those of the lowest weight first, until the rest fits; say how many where they were."""
    out: set[int] = set()
    gaps = 0
    for number in sorted(range(len(lines)), key=lambda number: lines[number].weight):
        if len(lines) - len(out) + gaps <= height:
            break
        gaps += 1 - (number - 1 in out) - (number + 1 in out)
        out.add(number)
    strips: list[Strip] = []
    skipped = 0
    for number, line in enumerate(lines):
        if number not in out:
            strips.append(line.strip)
            continue
        skipped += 1
        if number + 1 not in out:
            note = piece(f"{' ' * len(line.indent)}{glyphs.ellipsis} {skipped} left out", DIM)
            strips.append(spread(note, Strip(), width, glyphs.ellipsis))
            skipped = 0
    return strips[:height]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1].removeprefix("-")

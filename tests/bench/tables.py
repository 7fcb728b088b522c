"""Tables, as text that reads well on a terminal and is Markdown too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BEGIN = "<!-- scripts/bench --write begins -->"
END = "<!-- scripts/bench --write ends -->"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with what must be said about it; the first row is its head."""

    title: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def render(table: Table) -> str:
    """Render a table with its title above and its notes below. ValueError if its rows differ in length."""
    widths = [max(map(len, column)) for column in zip(*table.rows, strict=True)]
    lines = [_line(row, widths) for row in table.rows]
    lines.insert(1, "|".join(("", *("-" * (width + 2) for width in widths), "")))
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"### {table.title}", "", *lines, *([""] if notes else []), *notes, ""])


def render_all(tables: Sequence[Table]) -> str:
    """Render tables one after another."""
    return "\n".join(render(table) for table in tables)


def replace_between(document: str, generated: str) -> str:
    """Return the document with what stands between its two markers replaced.

    Raises:
        ValueError: the markers are not there, once each and in order.

    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in tail:
        raise ValueError(f"the document must hold one line {BEGIN!r} and after it one line {END!r}")
    return f"{head}{BEGIN}\n\n{generated.strip()}\n\n{END}{tail}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

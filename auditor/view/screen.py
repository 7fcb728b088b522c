"""The whole screen: which row is selected, and where each panel goes."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.sinks.snapshot import AlertRow, Snapshot
from auditor.view.glyphs import Glyphs
from auditor.view.panels import alert_list, calm, caution, divider, footer, header
from auditor.view.strips import Frame, Strip
from auditor.view.trees import offence

_FIXED = 5
"""Lines that are always there: two of header, two dividers, the footer."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which row is selected: one by its key, or with no key whichever is newest."""

    key: tuple[str, int, int] | None = None

    def position(self, rows: tuple[AlertRow, ...]) -> int:
        """Find the selected row. One that is gone gives way to the newest."""
        return next((number for number, row in enumerate(rows) if row.key == self.key), 0)

    def moved(self, rows: tuple[AlertRow, ...], step: int) -> Selection:
        """Move down the list by `step` rows. At the top it follows the newest row again."""
        position = max(0, min(self.position(rows) + step, len(rows) - 1))
        return Selection(rows[position].key) if position > 0 else Selection()


def frame(snapshot: Snapshot, selection: Selection, width: int, height: int, glyphs: Glyphs) -> Frame:
    """Draw a snapshot on a screen of `width` by `height` cells. The frame has exactly that size."""
    rows = snapshot.rows
    position = selection.position(rows)
    room = height - _FIXED
    strips = [*header(snapshot, width, glyphs), divider(width, glyphs)]
    if rows:
        listed = min(len(rows), max(3, room // 3))
        strips += alert_list(snapshot, position, width, 1 + listed, glyphs)
        strips.append(divider(width, glyphs))
        notes = caution(rows[position], width, glyphs)
        strips += offence(rows[position], snapshot.now_ns, width, max(0, room - 1 - listed - len(notes)), glyphs)
        strips += notes
    else:
        strips += calm(snapshot, width, glyphs)
    strips = strips[: height - 1]
    strips += [Strip()] * (height - 1 - len(strips))
    strips.append(footer(position, len(rows), snapshot.evicted, width, glyphs))
    return Frame(width, tuple(strip.padded(width) for strip in strips[:height]))

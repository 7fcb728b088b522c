"""The panels: each turns a part of a snapshot into strips. Pure: the same snapshot and size give the same strips."""

from __future__ import annotations

from typing import Final

from auditor.sinks.escape import command, escape
from auditor.sinks.snapshot import AlertRow, Snapshot
from auditor.view.glyphs import ALARM, CALL, DIM, LEVELS, SELECTED, STRONG, TARGET, Glyphs
from auditor.view.strips import Strip, joined, piece, spread

SPARK: Final = 16
"""Rates in the small chart."""


def header(snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Strip]:
    """Tell in two lines who is watched and how the watching goes."""
    gap = f" {glyphs.dot} "
    watched = joined(
        [
            piece(_amount(snapshot.tracked, "task")),
            piece(_amount(snapshot.sessions, "session")),
            piece(_amount(snapshot.calls, "tool call")),
        ],
        gap,
    )
    name = piece(" auditor", STRONG)
    if snapshot.host:
        name += piece(" on " + shown(snapshot.host, 32, glyphs))
    alerts = piece(_amount(snapshot.alerts, "alert"), ALARM if snapshot.alerts else DIM)
    return [
        spread(joined([name, watched], gap), alerts + piece(" "), width, glyphs.ellipsis),
        spread(_work(snapshot, glyphs), _state(snapshot, glyphs), width, glyphs.ellipsis),
    ]


def _work(snapshot: Snapshot, glyphs: Glyphs) -> Strip:
    rate = snapshot.rates[-1] if snapshot.rates else 0.0
    parts = [piece(f" {snapshot.events:,} events"), piece(f"{rate:,.0f}/s {spark(snapshot.rates[-SPARK:], glyphs)}")]
    lost = sum(count for _, count in snapshot.losses)
    if lost:
        which = ", ".join(f"{shown(what, 32, glyphs)} {count:,}" for what, count in snapshot.losses)
        parts.append(piece(f"LOST {lost:,}: {which}", ALARM))
    else:
        parts.append(piece("0 lost"))
    return joined(parts, f" {glyphs.dot} ")


def _state(snapshot: Snapshot, glyphs: Glyphs) -> Strip:
    cpu = "cpu ?" if snapshot.cpu is None else f"cpu {snapshot.cpu:.1%}"
    if snapshot.ended is None:
        return piece(f"{cpu} ")
    return piece(f"ended: {shown(snapshot.ended, 32, glyphs)} ", STRONG)


def alert_list(snapshot: Snapshot, selected: int, width: int, height: int, glyphs: Glyphs) -> list[Strip]:
    """List the rows around the selected one, below a line of headings: `height` lines at most."""
    columns = _Columns(width, glyphs)
    lines = [columns.headings()]
    room = height - 1
    first = max(0, min(selected - room // 2, len(snapshot.rows) - room))
    for number, row in enumerate(snapshot.rows[first : first + room], first):
        lines.append(columns.row(row, snapshot.now_ns, chosen=number == selected))
    return lines


class _Columns:
    """Widths of the list's columns, for one width of the screen."""

    def __init__(self, width: int, glyphs: Glyphs) -> None:
        self.width = width
        self.glyphs = glyphs
        self.call = min(24, max(8, width // 6))
        self.target = min(40, max(15, width // 4))
        fixed = 2 + 9 + 1 + self.call + 1 + self.target + 11
        self.rule = max(8, min(56, width - fixed))
        self.has_command = width - fixed - self.rule > 16

    def headings(self) -> Strip:
        words = [piece("RULE"), piece("TOOL CALL"), piece("WHERE TO"), piece("COMMAND")]
        return self._line(piece("  "), piece("LEVEL"), words, piece("SEEN   AGE ")).styled(DIM)

    def row(self, row: AlertRow, now_ns: int, *, chosen: bool) -> Strip:
        glyphs = self.glyphs
        words = [
            piece(shown(row.rule, self.rule, glyphs), STRONG),
            piece(shown(row.call_id or "(the agent)", self.call, glyphs), CALL),
            piece(shown(row.target, self.target, glyphs), TARGET),
            piece(shown_command(row.args, self.width, glyphs)),
        ]
        count = f"{glyphs.times}{row.count}" if row.count > 1 else ""
        right = piece(f"{count:>4} {age(now_ns - row.last_ns):>5} ")
        line = self._line(piece(f"{glyphs.cursor} " if chosen else "  "), level(row.level), words, right)
        return line.styled(SELECTED) if chosen else line

    def _line(self, cursor: Strip, level: Strip, words: list[Strip], right: Strip) -> Strip:
        rule, call, target, command_line = words
        ellipsis = self.glyphs.ellipsis
        left = cursor + level.padded(9) + rule.cropped(self.rule, ellipsis).padded(self.rule + 1)
        left += call.cropped(self.call, ellipsis).padded(self.call + 1)
        left += target.cropped(self.target, ellipsis)
        if self.has_command:
            left += piece(" " * (1 + max(0, self.target - target.width))) + command_line
        return spread(left, right, self.width, ellipsis)


def calm(snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Strip]:
    """Say that nothing has happened."""
    return [
        spread(
            piece(f"  watching {_amount(snapshot.tracked, 'task')}, no alerts", DIM), Strip(), width, glyphs.ellipsis
        )
    ]


def caution(row: AlertRow, width: int, glyphs: Glyphs) -> list[Strip]:
    """Say how far the selected row's evidence can be trusted; nothing where it can be trusted fully."""
    doubts = [f"lost meanwhile: {shown(what, 32, glyphs)} {count:,}" for what, count in row.losses]
    if not row.lineage_complete:
        doubts.append("not every birth in this tree was seen")
    if row.args_truncated:
        doubts.append("arguments were cut")
    return [spread(piece(f" note: {'; '.join(doubts)}", ALARM), Strip(), width, glyphs.ellipsis)] if doubts else []


def footer(position: int, total: int, evicted: int, width: int, glyphs: Glyphs) -> Strip:
    """Name the keys, and where in the list the selection stands."""
    keys = "up/down choose" if glyphs.ascii_only else "↑↓ choose"
    place = f"alert {position + 1} of {total}" if total else ""
    if evicted:
        place += f", {evicted:,} more dropped"
    return spread(piece(f" q quit  {keys}", DIM), piece(f"{place} ", DIM), width, glyphs.ellipsis)


def divider(width: int, glyphs: Glyphs) -> Strip:
    """Draw a line."""
    return piece(glyphs.rule * width, DIM)


def level(name: str) -> Strip:
    """Write a level in its colour."""
    word = "INFO" if name == "informational" else name.upper()
    return piece(word, LEVELS.get(name, ""))


def spark(rates: tuple[float, ...], glyphs: Glyphs) -> str:
    """Draw rates as a row of bars, the highest rate as the highest bar."""
    top = max(rates, default=0.0)
    steps = len(glyphs.bars) - 1
    return "".join(glyphs.bars[round(rate / top * steps) if top else 0] for rate in rates)


def age(span_ns: int) -> str:
    """Write a span of time in at most five characters: `12s`, `59m`, `3h`, `400d`."""
    seconds = max(0, span_ns) // 1_000_000_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def shown(text: str, room: int, glyphs: Glyphs) -> str:
    """Escape text of which no more than `room` cells can be shown; longer by a little where it has to be cut."""
    return escape(text[: room + 1], ascii_only=glyphs.ascii_only)


def shown_command(args: tuple[str, ...], room: int, glyphs: Glyphs) -> str:
    """Write arguments as one line of which no more than `room` cells can be shown."""
    heads = []
    taken = 0
    for arg in args:
        heads.append(arg[: room + 1])
        taken += len(heads[-1]) + 1
        if taken > room:
            break
    return command(heads, ascii_only=glyphs.ascii_only)


def _amount(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

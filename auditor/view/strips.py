"""Strips: lines of styled text, measured in cells, and the frame that they make up.

A strip takes plain text only: no markup is ever read. What an agent chose goes through `auditor.sinks.escape` first,
which also makes sure that a text is as wide as its characters together, so that cutting and padding come out right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, get_character_cell_size
from rich.console import Console, ConsoleOptions
from rich.control import Control
from rich.segment import Segment
from rich.style import Style


@dataclass(frozen=True, slots=True)
class Strip:
    """One line, or a part of one: pieces of text, each with a style in rich's words."""

    pieces: tuple[tuple[str, str], ...] = ()

    @property
    def width(self) -> int:
        """Width in cells."""
        return sum(cell_len(text) for text, _ in self.pieces)

    @property
    def text(self) -> str:
        """The text alone."""
        return "".join(text for text, _ in self.pieces)

    def __add__(self, other: Strip) -> Strip:
        return Strip(self.pieces + other.pieces)

    def styled(self, style: str) -> Strip:
        """Put one style in place of all."""
        return Strip(tuple((text, style) for text, _ in self.pieces))

    def cropped(self, width: int, ellipsis: str) -> Strip:
        """Cut at `width` cells, with an ellipsis (one cell) where something was cut."""
        if self.width <= width:
            return self
        room = width - 1
        if room < 0:
            return Strip()
        kept: list[tuple[str, str]] = []
        for text, style in self.pieces:
            part = _head(text, room)
            room -= cell_len(part)
            kept.append((part, style))
            if part != text:
                kept.append((ellipsis, style))
                break
        return Strip(tuple(kept))

    def padded(self, width: int) -> Strip:
        """Fill up with blanks to `width` cells."""
        missing = width - self.width
        return self if missing <= 0 else Strip((*self.pieces, (" " * missing, "")))


def piece(text: str, style: str = "") -> Strip:
    """Make a strip of one piece."""
    return Strip(((text, style),))


def joined(strips: Iterable[Strip], between: str) -> Strip:
    """Join strips with a text between them."""
    pieces: list[tuple[str, str]] = []
    for strip in strips:
        if pieces:
            pieces.append((between, ""))
        pieces.extend(strip.pieces)
    return Strip(tuple(pieces))


def spread(left: Strip, right: Strip, width: int, ellipsis: str) -> Strip:
    """Fill a line: `right` at its end in full, `left` cut to what room there is before it."""
    if right.width + 2 > width:
        return (left + piece(" ") + right).cropped(width, ellipsis).padded(width)
    room = width - right.width - bool(right.pieces)
    return left.cropped(room, ellipsis).padded(width - right.width) + right


def _head(text: str, width: int) -> str:
    """Cut text to at most `width` cells."""
    if text.isascii():
        return text[:width]
    taken = 0
    for position, char in enumerate(text):
        taken += get_character_cell_size(char)
        if taken > width:
            return text[:position]
    return text


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole screen, one strip a line; every strip is as wide as the screen."""

    width: int
    strips: tuple[Strip, ...]

    @property
    def text(self) -> str:
        """The screen as plain text, without the blanks at the ends of lines."""
        return "\n".join(strip.text.rstrip() for strip in self.strips)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Draw the frame line below line."""
        for strip in self.strips:
            yield from _segments(strip)
            yield Segment.line()


@dataclass(frozen=True, slots=True)
class Change:
    """The lines in which a frame differs from the one on the screen."""

    lines: tuple[tuple[int, Strip], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Draw each line in its place."""
        for number, strip in self.lines:
            yield Control.move_to(0, number).segment
            yield from _segments(strip)


def change(frame: Frame, shown: Sequence[Strip]) -> Change:
    """Find what to draw to get from the strips on the screen to a frame."""
    old = (*shown, *(None,) * len(frame.strips))
    return Change(tuple((number, strip) for number, strip in enumerate(frame.strips) if strip != old[number]))


def _segments(strip: Strip) -> Iterator[Segment]:
    for text, style in strip.pieces:
        yield Segment(text, Style.parse(style) if style else None)

"""The signs and styles that the view draws with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Signs for one kind of terminal; each is as wide in every set."""

    ascii_only: bool
    rule: str
    """A horizontal line, one cell."""
    branch: str
    last: str
    pipe: str
    arrow: str
    cursor: str
    mark: str
    """Opens the line that says what a process is charged with."""
    times: str
    ellipsis: str
    bars: str
    """Heights of a small chart, lowest first."""
    dot: str
    """Stands between two items."""


UNICODE: Final = Glyphs(
    ascii_only=False,
    rule="─",
    branch="├─ ",
    last="└─ ",
    pipe="│  ",
    arrow="→",
    cursor="▶",
    mark="●",
    times="×",  # noqa: RUF001 (meant)
    ellipsis="…",
    bars="▁▂▃▄▅▆▇█",
    dot="·",
)
ASCII: Final = Glyphs(
    ascii_only=True,
    rule="-",
    branch="|- ",
    last="`- ",
    pipe="|  ",
    arrow=">",
    cursor=">",
    mark="!",
    times="x",
    ellipsis="~",
    bars="_.-=+*%#",
    dot="-",
)

DIM: Final = "dim"
STRONG: Final = "bold"
ALARM: Final = "bold red"
OFFENDER: Final = "bold"
TARGET: Final = "bold yellow"
CALL: Final = "bold cyan"
SELECTED: Final = "reverse"
LEVELS: Final = {
    "informational": "blue",
    "low": "cyan",
    "medium": "yellow",
    "high": "bold red",
    "critical": "bold white on red",
}
"""A level that is not here has no style of its own."""


def glyphs_for(encoding: str | None) -> Glyphs:
    """Choose the signs that a terminal of this encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "").replace("_", "").startswith("utf") else ASCII

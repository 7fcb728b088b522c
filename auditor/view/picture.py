"""A picture of the view, as an SVG file that needs nothing from anywhere else: for documents."""

from __future__ import annotations

import io
from typing import Final

from rich.console import Console

from auditor.sinks.snapshot import Snapshot
from auditor.view.glyphs import UNICODE
from auditor.view.screen import Selection, frame

# What rich fills in is in braces. Each text tells how wide it is to be, so that any monospaced font does.
_PAGE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="The live view of auditor">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; }}
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def picture(snapshot: Snapshot, selection: Selection, width: int, height: int, title: str) -> str:
    """Draw a snapshot on a screen of `width` by `height` cells, in a terminal's window with a title."""
    drawn = frame(snapshot, selection, width, height, UNICODE)
    console = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="truecolor", no_color=False
    )
    console.print(drawn, end="", soft_wrap=True)
    return console.export_svg(title=title, code_format=_PAGE, unique_id="auditor", font_aspect_ratio=0.6)

r"""How text that a watched process chose is shown: on a terminal, in a line of a log, anywhere a person reads it.

A character stays as it is only if it takes its own place on the line, visibly, in the order in which it was written.
All others stand as an escape: `\n`, `\t`, `\r`, `\x1b`, `\u202e`, `\U000e0041`. That is more than control characters:

- what Python calls unprintable: control (C0, C1, DEL), format (bidirectional controls, zero-width, byte order mark,
  tags), surrogates, private use, unassigned, separators other than the blank;
- right-to-left letters: a terminal that reorders them also moves the digits and brackets beside them, so that a name
  could pull a port number or a quotation mark out of its place;
- marks that combine with the character before (none of their own width, any number of them), conjoining Hangul,
  regional indicators and skin tones, about whose width terminals disagree;
- the five blank letters and symbols that look like nothing.

`escape` leaves backslashes alone, so that a command reads as it was typed; `quote` makes them unambiguous.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_NAMED: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_BLANK_LETTERS: Final = frozenset("\u115f\u3164\uffa0\u2800\U0001d159")
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_UNCERTAIN_WIDTH: Final = (
    range(0x1160, 0x1200),  # Hangul Jamo: conjoining vowels and finals
    range(0xD7B0, 0xD800),  # Hangul Jamo Extended-B
    range(0x1F1E6, 0x1F200),  # regional indicators: two make one flag
    range(0x1F3FB, 0x1F400),  # skin tones: change the emoji before
)
_BARE: Final = re.compile(r"[A-Za-z0-9_@%+:,./~^#=-]+")


def escape(text: str, *, ascii_only: bool = False) -> str:
    r"""Make text safe to show on one line. With `ascii_only` nothing above 0x7E is left either."""
    if text.isascii():
        return text if text.isprintable() else "".join(map(_shown, text))
    if ascii_only:
        return "".join(char if " " <= char <= "~" else _escaped(char) for char in text)
    return "".join(map(_shown, text))


def quote(text: str, *, ascii_only: bool = False) -> str:
    r"""Make text one word: bare where that cannot be misread, else in double quotes, with `\"` and `\\` inside."""
    if _BARE.fullmatch(text):
        return text
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape(inside, ascii_only=ascii_only)}"'


def command(args: Iterable[str], *, ascii_only: bool = False) -> str:
    """Show an argument list as one line in which each argument can be told from its neighbours."""
    return " ".join(quote(arg, ascii_only=ascii_only) for arg in args)


@lru_cache(maxsize=4096)
def _shown(char: str) -> str:
    return char if _stands_alone(char) else _escaped(char)


def _stands_alone(char: str) -> bool:
    if not char.isprintable() or char in _BLANK_LETTERS:
        return False
    if unicodedata.category(char).startswith("M") or unicodedata.bidirectional(char) in _RIGHT_TO_LEFT:
        return False
    point = ord(char)
    return not any(point in span for span in _UNCERTAIN_WIDTH)


def _escaped(char: str) -> str:
    named = _NAMED.get(char)
    if named is not None:
        return named
    point = ord(char)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"

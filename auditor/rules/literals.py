"""What a regular expression cannot do without: texts of which every match contains at least one.

Reads as much of RE2's syntax as that takes, and gives up (None) on anything else, which costs speed and nothing more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias

Texts: TypeAlias = frozenset[str]

_LEAST: Final = 3  # characters; shorter texts are everywhere
_MOST: Final = 64  # texts; more are no help


LONG_S: Final = "\u017f"

_PATTERNS: Final = 4096
"""Answers kept: a rule's pattern is asked for once for each program that the rule names."""


def fold(text: str) -> str:
    """Put a text in lower case, where RE2 too takes it to be: the long s is one of the letter's cases."""
    return text.lower() if text.isascii() else text.lower().replace(LONG_S, "s")


@lru_cache(_PATTERNS)
def required(pattern: str) -> Texts | None:
    """Give texts in lower case of which at least one is in `fold` of whatever the pattern matches."""
    try:
        reader = _Reader(pattern)
        texts = reader.alternatives()
    except (_UnreadError, RecursionError):
        return None
    return texts if reader.at_end() else None


class _UnreadError(Exception):
    """A part of the pattern that is not worth understanding."""


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._pattern)

    def alternatives(self) -> Texts | None:
        """Read up to the end of a group; every branch must have a text."""
        found: Texts | None = frozenset()
        while True:
            branch = self._branch()
            found = found | branch if found is not None and branch is not None else None
            if self._peek() != "|":
                break
            self._at += 1
        return found if found is not None and len(found) <= _MOST else None

    def _branch(self) -> Texts | None:
        candidates: list[Texts] = []
        run = ""
        while (char := self._peek()) and char not in "|)":
            literal, texts = self._piece(char)
            least, exact = self._times()
            if literal is not None and exact and least:
                run += literal
                continue
            if literal is not None and least:
                run += literal
            candidates.append(frozenset({run}))
            run = ""
            if texts is not None and least:
                candidates.append(texts)
        candidates.append(frozenset({run}))
        useful = [texts for texts in candidates if texts and min(map(len, texts)) >= _LEAST]
        return max(useful, key=lambda texts: min(map(len, texts)), default=None)

    def _piece(self, char: str) -> tuple[str | None, Texts | None]:
        """Read one piece: a literal character, or something with required texts of its own, or neither."""
        self._at += 1
        match char:
            case "(":
                return None, self._group()
            case "[":
                self._class()
            case "\\":
                return self._escape(), None
            case "." | "^" | "$":
                pass
            case _:
                return self._literal(char), None
        return None, None

    def _literal(self, char: str) -> str | None:
        return char.lower() if char.isascii() else None

    def _escape(self) -> str | None:
        char = self._peek()
        self._at += 1
        if char.isalnum() or not char:
            if self._pattern[self._at - 1 : self._at + 2] == "x00":
                self._at += 2
            elif char not in "dDwWsSbBAznrtfv":
                raise _UnreadError
            return None
        return self._literal(char)

    def _group(self) -> Texts | None:
        if self._peek() == "?":
            self._at += 1
            while (char := self._peek()) and char in "imsU-":
                self._at += 1
            if self._peek() == ")":  # flags for the rest of the group around
                self._at += 1
                return None
            if self._peek() != ":":
                raise _UnreadError
            self._at += 1
        texts = self.alternatives()
        if self._peek() != ")":
            raise _UnreadError
        self._at += 1
        return texts

    def _class(self) -> None:
        start = self._at + (self._peek() == "^")
        end = self._pattern.find("]", start + 1)
        inside = self._pattern[start:end]
        if end < 0 or "[" in inside or "\\]" in self._pattern[start : end + 1] or inside.endswith("\\"):
            raise _UnreadError
        self._at = end + 1

    def _times(self) -> tuple[int, bool]:
        """Read a repetition: how often at least, and whether that is exactly once."""
        least, exact = 1, True
        while (char := self._peek()) and char in "*+?{":
            self._at += 1
            exact = False
            if char in "*?":
                least = 0
            elif char == "{":
                end = self._pattern.find("}", self._at)
                number = self._pattern[self._at : end].partition(",")[0]
                if end < 0 or not number.isdigit():
                    raise _UnreadError
                least = min(least, int(number))
                self._at = end + 1
        return least, exact

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

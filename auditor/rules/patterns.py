"""Text and address search that hostile input cannot slow down: the one door to RE2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

import re2  # type: ignore[import-untyped]

_CACHED_ADDRESSES: Final = 4096


def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def finder(patterns: Iterable[str]) -> Callable[[str], object]:
    """Give a function that tells whether any of the patterns is found in a text, in time linear in its length.

    Raises ValueError for a pattern that RE2 refuses.
    """
    try:
        compiled = re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), _quiet())
    except re2.error as error:
        raise ValueError(str(error)) from error
    search: Callable[[str], object] = compiled.search
    return search


def scanner(texts: Sequence[str]) -> Callable[[str], list[int]] | None:
    """Give a function that finds which of the texts a text contains, by index; None if there are none, or too many."""
    if not texts:
        return None
    union = re2.Set.SearchSet(_quiet())
    for text in texts:
        union.Add(re2.escape(text))
    union.Compile()
    scan: Callable[[str], list[int]] = union.Match
    # A set too large for RE2's memory finds nothing, without a word.
    return scan if all(number in scan(text) for number, text in enumerate(texts)) else None


def whole(pieces: Iterable[tuple[str, str]]) -> str:
    """Write the pattern of a whole text from (wildcard, literal) pieces, of which one is empty.

    Wildcards are `*`, any text, and `?`, any one character.
    """
    wildcards = {"*": ".*", "?": "."}
    return rf"(?s)\A{''.join(wildcards.get(wildcard, '') + re2.escape(text) for wildcard, text in pieces)}\z"


def membership(networks: Iterable[str]) -> Callable[[str], bool]:
    """Give a function that tells whether an address lies in one of the networks. What is no address lies in none."""
    parsed = [ip_network(network) for network in networks]

    @lru_cache(_CACHED_ADDRESSES)
    def lies_in(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in parsed)

    return lies_in

"""Searching text and addresses."""

from __future__ import annotations

import pytest

from auditor.rules.patterns import finder, membership, scanner, whole


def test_any_pattern_may_be_found_anywhere() -> None:
    """Flags in one pattern do not reach into the next."""
    found = finder(["(?i)abc", "x{3}$"])
    assert found("..ABC..")
    assert found("xxx")
    assert not found("XXX")
    assert not found("")


@pytest.mark.parametrize("pattern", ["(a", "(a+)+$(?=b)", r"(a)\1", "x{1001}"])
def test_what_re2_refuses_is_a_value_error(pattern: str) -> None:
    """Look-ahead, references back and the like are what makes a search slow without end."""
    with pytest.raises(ValueError, match=r"\w"):
        finder([pattern])


def test_a_search_tells_which_texts_are_contained() -> None:
    """Special characters are text."""
    scan = scanner(["a.c", "b", "\0d"])
    assert scan is not None
    assert sorted(scan("xa.cb") or []) == [0, 1]
    assert not scan("abc"[0:1])
    assert scan("\0d") == [2]
    assert scanner([]) is None


def test_a_whole_text_has_wildcards() -> None:
    """A star is any text, line ends included; a question mark is one character."""
    matches = finder([whole([("", "a.b"), ("*", ""), ("", "c"), ("?", "")])])
    assert matches("a.b\n..cx")
    assert not matches("a.bc")
    assert not matches("axbcx")
    assert not matches("xa.bcx")


def test_addresses_lie_in_networks_of_their_own_family() -> None:
    """What is no address lies in none."""
    inside = membership(["10.0.0.0/8", "2001:db8::/32"])
    assert inside("10.255.0.1")
    assert inside("2001:db8::1")
    assert not inside("11.0.0.1")
    assert not inside("::1")
    assert not inside("")
    assert not inside("10.0.0.0/8")

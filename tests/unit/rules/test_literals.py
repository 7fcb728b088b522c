"""What a regular expression cannot do without."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.rules.literals import LONG_S, fold, required


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("stratum", {"stratum"}),
        ("(?i)STRATUM[12]?://", {"stratum"}),
        ("abc|defg", {"abc", "defg"}),
        ("abc|d", None),
        ("x(?:abc|def)+y", {"abc", "def"}),
        ("x(?:abc|def)*y", None),
        ("(?:abc)?longer", {"longer"}),
        ("abcd?", {"abc"}),
        ("abcd+e", {"abcd"}),
        ("abcd{0,3}efg", {"abc", "efg"}),
        (r"a\.b\\c", {"a.b\\c"}),
        (r"\x00abc\s", {"abc"}),
        (r"abc\pLdefg", None),
        ("[abc]def[^x]", {"def"}),
        ("[]abc]def", {"def"}),
        ("(?P<name>abc)", None),
        ("", None),
        (".*", None),
        ("(abc", None),
        ("abc)", None),
        ("ab\u00fccde", {"cde"}),
    ],
)
def test_required_texts(pattern: str, texts: set[str] | None) -> None:
    """The longest text that every match has, or one for each branch; None where there is none or it is not seen."""
    found = required(pattern)
    assert found == texts or (found is not None and texts is not None and found <= texts)


pieces = st.sampled_from([*"abcS.-K", LONG_S, r"\.", r"\s", "[a-c]", "[^a]", r"\x00", "^", "$", "abc", "(?i)", r"\S"])
patterns = st.recursive(
    pieces,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{0,2}"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda part: f"(?i:{part})"),
        inner.map(lambda part: f"({part})"),
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(patterns, st.lists(st.sampled_from([*"abcABCsS.- kK\u212a", LONG_S, "abc", "ABC"]), max_size=12).map("".join))
def test_a_text_that_matches_has_a_required_text(pattern: str, text: str) -> None:
    """Whatever RE2 finds the pattern in contains one of the texts, folded."""
    texts = required(pattern)
    if texts is not None and re2.search(pattern, text):
        assert any(wanted in fold(text) for wanted in texts)


def test_deep_nesting_is_given_up() -> None:
    """A pattern made to exhaust the reader costs a gate and nothing more."""
    assert required("(" * 5000 + "abc" + ")" * 5000) is None

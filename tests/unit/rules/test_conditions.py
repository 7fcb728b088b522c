"""Conditions as trees."""

from __future__ import annotations

from auditor.rules.conditions import FALSE, TRUE, every, leaves, negate, rewrite, some, witnesses
from auditor.rules.pack import Node

A: Node = ("has", "CommandLine", "alpha", False)
B: Node = ("has", "CommandLine", "beta", False)
C: Node = ("has", "Image", "c", False)
SEARCHED = frozenset({"CommandLine"})


def test_joining_is_flat_without_doubles_and_decided_early() -> None:
    """Constants vanish or decide."""
    assert every([A, every([B, A]), TRUE]) == ("and", A, B)
    assert every([A, FALSE]) == FALSE
    assert some([A, some([B, A]), FALSE]) == ("or", A, B)
    assert some([A, TRUE]) == TRUE
    assert every([]) == TRUE
    assert some([]) == FALSE
    assert every([A]) == A


def test_a_double_no_is_a_yes() -> None:
    """Negation cancels, and turns the constants."""
    assert negate(negate(A)) == A
    assert negate(TRUE) == FALSE
    assert negate(FALSE) == TRUE


def test_leaves_are_the_tests_from_left_to_right() -> None:
    """Constants are no tests."""
    assert list(leaves(("and", A, ("not", ("or", B, C)), TRUE))) == [A, B, C]


def test_rewriting_tells_on_which_side_of_a_not_a_test_stands() -> None:
    """Under an odd number of negations a test speaks against the whole."""
    seen: dict[Node, bool] = {}

    def note(leaf: Node, positive: bool) -> Node:
        seen[leaf] = positive
        return FALSE if leaf == C else leaf

    assert rewrite(("and", A, ("not", ("or", B, C))), note) == ("and", A, ("not", B))
    assert seen == {A: True, B: False, C: False}


def test_witnesses_are_texts_that_a_match_cannot_do_without() -> None:
    """All of an `or`, the best of an `and`, none through a `not` or another field."""
    assert witnesses(A, SEARCHED) == {"alpha"}
    assert witnesses(("or", A, B), SEARCHED) == {"alpha", "beta"}
    assert witnesses(("or", A, C), SEARCHED) is None
    assert witnesses(("and", ("or", A, B), C, ("eq", "CommandLine", "gamma", False)), SEARCHED) == {"gamma"}
    assert witnesses(("not", A), SEARCHED) is None
    assert witnesses(FALSE, SEARCHED) == frozenset()
    assert witnesses(("re", "CommandLine", "x+delta"), SEARCHED) == {"delta"}


def test_witnesses_are_folded_and_have_no_nul() -> None:
    """They are looked for in lower case, where arguments are joined by blanks."""
    assert witnesses(("has", "CommandLine", "ABC", True), SEARCHED) == {"abc"}
    assert witnesses(("has", "CommandLine", "ABCÜ", True), SEARCHED) is None
    assert witnesses(("has", "CommandLine", "\0abc\0d", False), SEARCHED) == {"abc"}
    assert witnesses(("has", "CommandLine", "", False), SEARCHED) is None

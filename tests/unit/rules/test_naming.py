"""What is left of rules where the program's name or path is known."""

from __future__ import annotations

from auditor.rules.conditions import FALSE, TRUE
from auditor.rules.naming import OTHER, by_name, for_name, possible

SSH = ("ends", "Image", "/ssh", False)
FLAG = ("has", "CommandLine", "-r", False)
PATH = ("re", "Image", "^/tmp/")


def test_a_rule_bound_to_names_stands_with_them() -> None:
    """What is left of it is its other tests; a rule of alternatives is parted."""
    named, loose = by_name([(1, ("and", SSH, FLAG)), (2, ("or", SSH, FLAG))])
    assert dict(named) == {"/ssh": [(1, FLAG), (2, TRUE)]}
    assert loose == [(2, FLAG)]


def test_other_programs_match_no_name() -> None:
    """A name decides a test that asks for another."""
    assert for_name(("and", SSH, FLAG), OTHER) == FALSE
    assert for_name(("and", SSH, FLAG), "/ssh") == FLAG


def test_a_path_is_asked_as_if_all_else_were_as_wanted() -> None:
    """Under a `not` too, a test of anything else rules nothing out."""
    assert possible(("and", PATH, FLAG)) == PATH
    assert possible(("or", PATH, FLAG)) == TRUE
    assert possible(("and", PATH, ("not", FLAG))) == PATH
    assert possible(("and", FLAG, ("not", PATH))) == ("not", PATH)

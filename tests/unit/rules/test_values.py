"""Sigma's values as tests of a field."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.rules.fields import FIELDS
from auditor.rules.pack import Node
from auditor.rules.values import UnfitValueError, lower_item, read_item


def lower(key: str, value: Any) -> Node:
    """Lower one item of a detection over connections."""
    return lower_item(read_item(key, value), FIELDS["network_connection"][key.partition("|")[0]])


@pytest.mark.parametrize(
    ("key", "value", "node"),
    [
        ("Image", "/Usr/X", ("eq", "Image", "/usr/x", False)),
        ("Image|cased", "/Usr/X", ("eq", "Image", "/Usr/X", True)),
        ("Image|startswith", "/A", ("starts", "Image", "/a", False)),
        ("Image|endswith|cased", "/A", ("ends", "Image", "/A", True)),
        ("Image|contains", "a", ("has", "Image", "a", False)),
        ("Image", "a*", ("starts", "Image", "a", False)),
        ("Image", "*", ("present", "Image")),
        ("Image", "", ("eq", "Image", "", False)),
        ("Image", r"a\*b\\c", ("eq", "Image", "a*b\\c", False)),
        ("Image", ["a", "b"], ("or", ("eq", "Image", "a", False), ("eq", "Image", "b", False))),
        ("Image|contains|all", ["a", "b"], ("and", ("has", "Image", "a", False), ("has", "Image", "b", False))),
        ("Image|neq", "a", ("not", ("eq", "Image", "a", False))),
        ("Image", None, ("not", ("present", "Image"))),
        ("Image|exists", True, ("present", "Image")),
        ("Image|exists", False, ("not", ("present", "Image"))),
        ("Image", 7, ("eq", "Image", "7", False)),
        ("Image|re", r"a\*b?", ("re", "Image", r"a\*b?")),
        ("Image|re|i|m|s", "a", ("re", "Image", "(?ims)a")),
        ("Image|base64", "a", ("eq", "Image", "yq==", False)),
        ("DestinationPort", 22, ("num", "DestinationPort", "==", 22)),
        ("DestinationPort", "22", ("num", "DestinationPort", "==", 22)),
        ("DestinationPort|gte", 22, ("num", "DestinationPort", ">=", 22)),
        ("DestinationIp|cidr", "10.0.0.0/8", ("cidr", "DestinationIp", "10.0.0.0/8")),
        ("DestinationIp|startswith", "10.", ("starts", "DestinationIp", "10.", False)),
        ("Initiated", True, ("is", "Initiated", True)),
        ("Initiated", "False", ("is", "Initiated", False)),
    ],
)
def test_values_are_lowered(key: str, value: Any, node: Node) -> None:
    """To the plainest test that says the same."""
    assert lower(key, value) == node


def test_wildcards_in_the_middle_are_a_pattern_of_the_whole() -> None:
    """With everything else taken literally."""
    kind, name, pattern, cased = lower("Image", "a.b*c?d")
    assert (kind, name, cased) == ("glob", "Image", False)
    assert pattern == r"(?s)\Aa\.b.*c.d\z"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Image|cidr", "10.0.0.0/8"),
        ("DestinationIp|cidr", "10.0.0.0/99"),
        ("Image|gt", 7),
        ("DestinationPort", "many"),
        ("DestinationPort|re", "2+"),
        ("DestinationPort", True),
        ("Initiated", "perhaps"),
        ("Initiated", 1),
        ("Image|expand", "%x%"),
        ("Image|fieldref", "ParentImage"),
        ("Image|minute", 5),
        ("Image|re", "(?=x)"),
        ("Image|re", "a("),
        ("Image|nonsense", "x"),
        ("Image", [["x"]]),
        ("Image", {"x": 1}),
    ],
)
def test_what_does_not_fit_a_field_is_refused(key: str, value: Any) -> None:
    """By pySigma or by us, as one kind of error with a text."""
    with pytest.raises(UnfitValueError, match=r"\w"):
        lower(key, value)

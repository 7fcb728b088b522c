"""Sigma's values, as pySigma holds them, lowered to tests of one field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sigma.exceptions import SigmaError
from sigma.policy.profiles import SafePolicy
from sigma.rule import SigmaDetectionItem
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from auditor.rules.conditions import every, negate, some
from auditor.rules.documents import LISTS
from auditor.rules.fields import Field
from auditor.rules.lists import NO_LISTS, Lists
from auditor.rules.pack import Node
from auditor.rules.patterns import finder, whole

_COMPARISONS: Final = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
}


class UnfitValueError(Exception):
    """A value that a field cannot be tested for."""


def read_item(key: str | None, value: Any) -> SigmaDetectionItem:
    """Let pySigma read one `Field|modifier: value`; raises UnfitValueError."""
    try:
        return SigmaDetectionItem.from_mapping(key, value, policy=SafePolicy)
    except SigmaError as error:
        raise UnfitValueError(str(error)) from error
    except (TypeError, AttributeError, ValueError) as error:  # pySigma's, for values of a wrong type
        raise UnfitValueError(f"'{value}' does not fit '{key}'") from error


def lower_item(item: SigmaDetectionItem, field: Field, lists: Lists = NO_LISTS) -> Node:
    """Lower one item of a detection, its placeholders filled from the lists; raises UnfitValueError."""
    values = [part for value in item.value for part in _filled(value, lists)]
    tests = [_lower(value, field) for value in values] or [negate(("present", field.name))]
    joined = every(tests) if item.value_linking.__name__ == "ConditionAND" else some(tests)
    return negate(joined) if item.negated else joined


def _filled(value: SigmaType, lists: Lists) -> Iterable[SigmaType]:
    if not isinstance(value, SigmaString) or not value.contains_placeholder():
        return (value,)

    def fill(placeholder: Placeholder) -> Iterator[str]:
        if placeholder.name not in lists:
            raise UnfitValueError(f"placeholder '%{placeholder.name}%' is not filled: no {LISTS} has such a list")
        return iter(lists[placeholder.name])

    return value.replace_placeholders(fill)


def _lower(value: SigmaType, field: Field) -> Node:  # noqa: C901 - one case a type
    match value:
        case SigmaExpansion():
            return some(_lower(part, field) for part in value.values)
        case SigmaString():
            return _text(value, field)
        case SigmaTimestampPart():
            pass
        case SigmaNumber():
            return _number(value.number, field)
        case SigmaBool() if field.type == "bool":
            return ("is", field.name, value.boolean)
        case SigmaNull():
            return negate(("present", field.name))
        case SigmaExists():
            present = ("present", field.name)
            return present if value.exists else negate(present)
        case SigmaRegularExpression() if field.type in {"text", "ip", "list"}:
            return _pattern(value, field)
        case SigmaCIDRExpression() if field.type == "ip":
            return ("cidr", field.name, str(value.network))
        case SigmaCompareExpression() if field.type == "number" and value.op in _COMPARISONS:
            return ("num", field.name, _COMPARISONS[value.op], value.number.number)
    what = type(value).__name__.removeprefix("Sigma").removesuffix("Expression")
    raise UnfitValueError(f"{field.name} is a {field.type}: a test by {what} does not fit it, or is not supported yet")


def _number(number: float, field: Field) -> Node:
    match field.type:
        case "number":
            return ("num", field.name, "==", number)
        case "bool":
            raise UnfitValueError(f"{field.name} is true or false, not {number}")
        case _:
            return ("eq", field.name, str(number), False)


def _text(value: SigmaString, field: Field) -> Node:
    parts: list[str] = []  # literal text, or "" for a wildcard; SigmaString never holds empty text
    marks = []
    for part in value.s:
        marks.append(part if isinstance(part, SpecialChars) else None)
        parts.append(part if isinstance(part, str) else "")
    if field.type == "number":
        return _numeral(value, field)
    if field.type == "bool":
        if str(value).lower() not in {"true", "false"}:
            raise UnfitValueError(f"{field.name} is true or false, not '{value}'")
        return ("is", field.name, str(value).lower() == "true")
    cased = isinstance(value, SigmaCasedString)
    if not cased:
        parts = [part.lower() for part in parts]
    return _shape(field.name, parts, marks, cased)


def _numeral(value: SigmaString, field: Field) -> Node:
    try:
        return ("num", field.name, "==", int(str(value)))
    except ValueError:
        raise UnfitValueError(f"{field.name} is a number, not '{value}'") from None


def _shape(name: str, parts: list[str], marks: list[SpecialChars | None], cased: bool) -> Node:
    """Find the plainest test for literal parts and wildcards."""
    text = "".join(parts)
    stars = [mark is SpecialChars.WILDCARD_MULTI for mark in marks]
    if not any(marks):
        return ("eq", name, text, cased)
    if all(stars):
        return ("present", name)
    if SpecialChars.WILDCARD_SINGLE not in marks and not any(stars[1:-1]):
        kind = {(True, True): "has", (True, False): "ends", (False, True): "starts"}.get((stars[0], stars[-1]))
        if kind is not None:
            return (kind, name, text, cased)
    wildcards = {SpecialChars.WILDCARD_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
    pieces = [
        (wildcards[mark], "") if mark is not None else ("", part) for mark, part in zip(marks, parts, strict=True)
    ]
    return ("glob", name, whole(pieces), cased)


def _pattern(value: SigmaRegularExpression, field: Field) -> Node:
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    pattern = f"(?{flags}){value.regexp}" if flags else str(value.regexp)
    try:
        finder([pattern])
    except ValueError as error:
        raise UnfitValueError(f"regular expression '{value.regexp}': {error}") from error
    return ("re", field.name, pattern)

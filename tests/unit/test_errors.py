"""Tests of auditor.errors."""

from __future__ import annotations

import inspect
import re

import pytest

from auditor import errors
from auditor.errors import AuditorError, CaptureError, HostError, RuleError, UsageError

EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BaseException)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_command_line_catches_every_error(kind: type[BaseException]) -> None:
    """Each error is an AuditorError, so that the one place that catches them misses none."""
    assert issubclass(kind, AuditorError)


@pytest.mark.parametrize(
    ("kind", "code"), [(AuditorError, 1), (UsageError, 2), (HostError, 1), (CaptureError, 1), (RuleError, 1)]
)
def test_exit_code(kind: type[AuditorError], code: int) -> None:
    """A question that makes no sense leaves with 2, a thing that cannot be done with 1."""
    assert kind.exit_code == code


def test_rule_error_keeps_every_problem() -> None:
    """All problems are told at once, one a line, and stay apart for whoever wants to count them."""
    error = RuleError(problem for problem in ["a.yml:3: no title", "b.yml:1: not YAML"])
    assert error.problems == ("a.yml:3: no title", "b.yml:1: not YAML")
    assert str(error) == "a.yml:3: no title\nb.yml:1: not YAML"


def test_docstring_draws_every_error() -> None:
    """The tree at the top of the module names each error with its exit code."""
    assert errors.__doc__ is not None
    drawn = re.findall(r"(\w+) +exit (\d):", errors.__doc__)
    assert sorted(drawn) == sorted((kind.__name__, str(kind.exit_code)) for kind in EVERY)

"""Repeated measurements are summed up without losing their spread."""

from __future__ import annotations

import pytest

from tests.bench.figures import Spread, percentile, ratios


def test_spread_keeps_the_middle_and_both_ends() -> None:
    """The median does not follow one wild value; the ends tell of it."""
    assert Spread.of([3, 1, 100, 2]) == Spread(2.5, 1, 100, 4)


def test_spread_of_nothing_is_refused() -> None:
    """A load that was never run has no figure, not a zero."""
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_ratios_are_taken_pair_by_pair() -> None:
    """A machine that becomes slower half-way through changes both sides of a pair, and no ratio."""
    assert ratios([(11, 10), (33, 30), (22, 20)]) == Spread(1.1, 1.1, 1.1, 3)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        (range(1, 101), 0.95, 95),
        ([5, 1, 3], 0.95, 5),
        ([5, 1, 3], 0.34, 3),
        ([5, 1, 3], 0, 1),
        ([7], 0.5, 7),
    ],
)
def test_percentile_is_a_measured_value(values: list[float], share: float, expected: float) -> None:
    """A percentile is the smallest measured value that is enough for that share, never one between two."""
    assert percentile(list(values), share) == expected

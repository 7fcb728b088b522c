"""Statistics of repeated measurements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Measurements of one thing, in whatever unit they have."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sum up; ValueError if there are none."""
        values = sorted(values)
        if not values:
            raise ValueError("nothing was measured")
        return cls(median(values), values[0], values[-1], len(values))


def ratios(pairs: Iterable[tuple[float, float]]) -> Spread:
    """Sum up pairs of (measured, measured without): the ratio is taken in each pair, so that drift cancels out."""
    return Spread.of(measured / without for measured, without in pairs)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the values that at least `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]

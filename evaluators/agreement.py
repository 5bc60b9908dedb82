"""How far two raters agree on whole numbers from 1 to 5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LOWEST, HIGHEST = 1, 5


def agreement(one: Sequence[int], other: Sequence[int]) -> dict[str, float | None]:
    """Exact agreement, agreement within 1, Spearman's rank correlation and quadratic weighted kappa of two lists of ratings.

    The last two are None where a rater always says the same, so that nothing can be told.
    """
    if len(one) != len(other) or not one:
        raise ValueError(f"{len(one)} and {len(other)} ratings cannot be compared")
    a, b = np.array(one), np.array(other)
    apart = np.abs(a - b)
    return {
        "exact": float((apart == 0).mean()),
        "within_1": float((apart <= 1).mean()),
        "spearman": spearman(a, b),
        "kappa": quadratic_kappa(a, b),
    }


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """The correlation of ranks, where equal ratings share the mean of their ranks; None where one list is constant."""
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def quadratic_kappa(a: np.ndarray, b: np.ndarray) -> float | None:
    """1 - observed / expected disagreement, each the mean squared difference (Cohen, 1968).

    What is expected are the same ratings, paired by chance. None where no disagreement is expected.
    """
    expected = ((a[:, None] - b[None, :]) ** 2).mean()
    return float(1 - ((a - b) ** 2).mean() / expected) if expected else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """(n,) ranks from 0; equal values share the mean of theirs."""
    return np.array([(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values])

"""The Fréchet distance between two sets of feature vectors, each taken for a Gaussian (Heusel et al., 2017)."""

from __future__ import annotations

import numpy as np

from instdiff.errors import BadInput


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The distance of the Gaussians with the means and covariances of two sets of features, (n, D) and (m, D).

    Raises:
        BadInput: a set has fewer than two vectors, or they hold what is no number.
    """
    for features in (one, other):
        if len(features) < 2:
            raise BadInput("pictures", f"a distance of distributions needs at least 2 pictures on each side; here are {len(features)}")
        if not np.isfinite(features).all():
            raise BadInput("features", "hold what is no number; are these the right weights?")
    moments = [(features.mean(axis=0), np.cov(features, rowvar=False)) for features in map(np.float64, (one, other))]
    return gaussian_distance(*moments[0], *moments[1])


def gaussian_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """``|mean_a - mean_b|^2 + tr(cov_a + cov_b - 2 (cov_a cov_b)^(1/2))``; means (D,), covariances (D, D).

    The trace of the root of a product of covariances is the sum of the roots of the eigenvalues of
    ``cov_a^(1/2) cov_b cov_a^(1/2)``, which is symmetric, so that no eigenvalue is complex.
    """
    values, vectors = np.linalg.eigh(np.atleast_2d(cov_a))
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ np.atleast_2d(cov_b) @ root).clip(min=0)
    away = mean_a - mean_b
    return float(away @ away + np.trace(np.atleast_2d(cov_a)) + np.trace(np.atleast_2d(cov_b)) - 2 * np.sqrt(shared).sum())

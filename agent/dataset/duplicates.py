"""Pictures that look alike: near-duplicates, by what the bundled detector makes of each picture as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from evaluators.reporting import progress_bar

# cosine of features: of 90 different pictures at most 0.988; of copies as JPEG, a tenth brighter or cut by 2 % at the
# edges 0.992 to 0.9998, 28 of 30 over 0.997
ALIKE = 0.997
BATCH = 16
BLOCK = 1000  # pictures compared with all at once


def near_duplicates(paths: Sequence[Path], alike: float = ALIKE) -> Iterator[tuple[int, int, float]]:
    """Pairs of pictures that look alike, ``(first, second, cosine)``, by their places in the list."""
    features = picture_features(paths)
    features /= np.linalg.norm(features, axis=-1, keepdims=True) + 1e-9
    for first in range(0, len(features), BLOCK):
        cosines = features[first : first + BLOCK] @ features.T
        for row, column in np.argwhere(cosines >= alike):
            if first + row < column:
                yield first + int(row), int(column), float(cosines[row, column])


def picture_features(paths: Sequence[Path]) -> np.ndarray:
    """What the detector makes of each picture, (N, F) float32."""
    from PIL import Image

    from evaluators.detectors.draft import DraftDetector

    detector = DraftDetector()
    rows = []
    with progress_bar() as bar:
        for first in bar.track(range(0, len(paths), BATCH), description=f"looking, {BATCH} at once"):
            images = [Image.open(path).convert("RGB") for path in paths[first : first + BATCH]]
            rows.append(detector.features(images).float().cpu().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)

"""What evaluations over painted annotations share: the pictures of all parts, the photographs, the detector's look, the
table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.coco import painting
from evaluators.coco.dataset import Dataset, Sample, photograph
from evaluators.gallery import Seen, check_scorer, default_scorer, load_scorer, look
from evaluators.manifest import Manifest, read_manifest, read_pictures
from evaluators.reporting import percent
from instdiff.errors import BadInput
from instdiff.formats.files import read_bytes

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress

    from evaluators.detectors import Detector

PUBLISHED = Path(__file__).with_name("published.json")
AUTO = "auto"
REAL = "real images"


@dataclass(frozen=True)
class Gallery:
    """The pictures that are scored, in the order of their parts: the key of each, and where it lies."""

    parts: list[tuple[Path, Manifest, list[str]]]

    @classmethod
    def of(cls, folder: Path, keys: Sequence[str] | None = None) -> Gallery:
        """The pictures below a folder: those of its manifest, or of the parts that jobs have painted.

        Args:
            keys: what is wanted; None takes everything.

        Raises:
            BadInput: there are none, or some that are wanted are missing.
        """
        found = painting.parts(folder) or [(folder, read_manifest(folder))]
        left = None if keys is None else set(keys)
        chosen = []
        for place, manifest in found:
            mine = [one.key for one in manifest.pictures if left is None or one.key in left]
            left = None if left is None else left - set(mine)
            chosen.append((place, manifest, mine))
        if left:
            raise BadInput(
                str(folder),
                f"{len(left)} of {len(keys)} pictures are not painted yet ({min(left)} is the first); paint them, then"
                " score",
            )
        if not any(mine for _, _, mine in chosen):
            raise BadInput(str(folder), "its manifest names no pictures")
        return cls(chosen)

    @property
    def keys(self) -> list[str]:
        return [key for _, _, mine in self.parts for key in mine]

    @property
    def files(self) -> list[Path]:
        return [folder / f"{key}.png" for folder, _, mine in self.parts for key in mine]

    @property
    def painted_with(self) -> dict:
        return self.parts[0][1].painted_with

    @property
    def engine(self) -> str:
        return str(self.painted_with.get("engine", ""))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of the pictures."""
        return next(self.images()).size

    def images(self) -> Iterator[Image]:
        """Each picture, held against its hash."""
        for folder, manifest, mine in self.parts:
            yield from read_pictures(manifest, folder, mine)


def ordered(dataset: Dataset, gallery: Gallery) -> list[Sample]:
    """The samples that the pictures of a gallery were painted from, in its order.

    Raises:
        BadInput: the pictures were painted from other annotations.
    """
    by_key = {sample.key: sample for sample in dataset.samples}
    annotations = gallery.painted_with.get("annotations")
    if any(key not in by_key for key in gallery.keys) or annotations not in (None, dataset.sha256):
        raise BadInput(
            "annotations",
            "the pictures were painted from other annotations or captions than these; give the same files, or another"
            " --out",
        )
    return [by_key[key] for key in gallery.keys]


def scorer(args: argparse.Namespace, engine: str, gallery: Gallery | None = None) -> Detector:
    """The detector that is asked for, or the usual one for this engine's pictures."""
    if args.detector == AUTO:
        args.detector = default_scorer(engine)
    if gallery:
        check_scorer(args.detector, gallery.parts[0][1])
    return load_scorer(args)


def check_images(folder: Path | None, samples: Sequence[Sample]) -> None:
    """Raise BadInput at once if the folder of photographs is not there, or lacks the first of them."""
    if folder and samples:
        photograph(samples[0], folder, (8, 8))


def photographs(samples: Sequence[Sample], folder: Path, size: tuple[int, int]) -> Iterator[Image]:
    """What the annotations were made of, at the size of the painted pictures."""
    return (photograph(sample, folder, size) for sample in samples)


def looked_at(
    detector: Detector, images: Iterable[Image], vocabulary: list[str], what: str, total: int, progress: Progress
) -> Seen:
    """What the detector sees, with a bar."""
    task = progress.add_task(f"{detector.name} looks at {what}", total=total)
    return look(detector, images, vocabulary, lambda count: progress.advance(task, count))


def category_notes(detector: Detector, categories: Sequence[str]) -> list[str]:
    """What is to be said about categories that the detector does not know, or does not tell apart."""
    known = [name for name in map(detector.canonical, categories) if name]
    notes = []
    if len(known) < len(categories):
        notes.append(
            f"{detector.name} does not know {len(categories) - len(known)} of {len(categories)} categories, which count"
            " as not found"
        )
    if len(set(known)) < len(known):
        notes.append(f"{len(known)} categories are {len(set(known))} to {detector.name}, and are scored so")
    return notes


def published(what: str) -> tuple[dict[str, float], str]:
    """The published figures of a kind of place or attribute, in percent, and what is to be said about them."""
    data = json.loads(read_bytes(PUBLISHED))
    return data[what], f"published: {data['source']}; other sets, engines or detectors do not compare with it"


def table(title: str, metrics: dict[str, str], rows: dict[str, dict], theirs: dict[str, float]) -> dict:
    """One line for each metric, one column for each row of figures (shares), and the published ones (percent) last.

    Args:
        metrics: label -> path such as ``box.ap``.
    """
    lines = []
    for label, path in metrics.items():
        cells = [percent(_at(figures, path)) for figures in rows.values()]
        lines.append([label, *cells, f"{theirs[path]:.1f}" if path in theirs else "-"])
    return {"title": title, "columns": ["percent", *rows, "published"], "rows": lines}


def _at(figures: dict, path: str) -> float | None:
    for name in path.split("."):
        figures = (figures or {}).get(name)
    return figures

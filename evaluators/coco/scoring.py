"""What evaluations over painted annotations share: the photographs, the detector's look, the table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.coco.dataset import Dataset, Sample, photograph
from evaluators.detectors import Detector
from evaluators.gallery import Detections, Gallery, check_scorer, default_scorer, load_scorer, look
from evaluators.reporting import Table, figure_at, percent, progress_bar
from instdiff.errors import BadInput, printable
from instdiff.formats.files import read_bytes
from instdiff.formats.photographs import Photograph, check_photographs
from instdiff.formats.tally import Tally

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress

PUBLISHED = Path(__file__).with_name("published.json")
AUTO = "auto"
REAL = "real images"


def samples_of(dataset: Dataset, gallery: Gallery) -> list[Sample]:
    """The samples that the pictures of a gallery were painted from, in its order.

    Raises:
        BadInput: the pictures were painted from other annotations.
    """
    by_key = {sample.key: sample for sample in dataset.samples}
    annotations = gallery.painted_with.get("annotations")
    if any(key not in by_key for key in gallery.keys) or annotations not in (None, dataset.sha256):
        reason = "the pictures were painted from other annotations or captions than these"
        raise BadInput("annotations", f"{reason}; give the same files, or another --out")
    return [by_key[key] for key in gallery.keys]


def choose_scorer(args: argparse.Namespace, engine: str, gallery: Gallery | None = None) -> Detector:
    """The detector that is asked for, or the usual one for this engine's pictures; ``args.detector`` gets its name."""
    if args.detector == AUTO:
        args.detector = default_scorer(engine)
    if gallery:
        check_scorer(args.detector, gallery)
    return load_scorer(args)


def with_photographs(dataset: Dataset, folder: Path | None) -> Dataset:
    """The samples whose photographs can be used, all of which are looked at, with a bar; what is left out is a note.

    Raises:
        BadInput: there are none.
    """
    if folder is None:
        return dataset
    found = _look_at_all(dataset.samples, folder)
    oddities = Tally()
    for sample, file in zip(dataset.samples, found, strict=True):
        if file.oddity:
            oddities.add(file.oddity, f"image {sample.record['id']}: {file.detail}")
    samples = [sample for sample, one in zip(dataset.samples, found, strict=True) if one.is_usable]
    if not samples:
        raise BadInput("images", f"0 of {len(dataset.samples)} photographs can be used; {oddities}")
    return replace(dataset, samples=samples, oddities=(*dataset.oddities, *oddities.sentences))


def print_oddities(dataset: Dataset) -> None:
    """What was left out or mended, on stderr, before anything costly is done."""
    for oddity in dataset.oddities:
        print(printable(f"note: {oddity}"), file=sys.stderr)


def check_images(folder: Path | None, samples: Sequence[Sample]) -> None:
    """Raise BadInput at once if a photograph cannot be used; all are looked at, with a bar."""
    found = _look_at_all(samples, folder) if folder else []
    if bad := [number for number, one in enumerate(found) if not one.is_usable]:
        first = found[bad[0]]
        where = f"image {samples[bad[0]].record['id']}"
        raise BadInput("images", f"{len(bad)} of {len(samples)} cannot be used, the first: {where}: {first.detail}")


def _look_at_all(samples: Sequence[Sample], folder: Path) -> list[Photograph]:
    with progress_bar(sys.stderr.isatty()) as progress:  # an error comes first where nobody watches
        task = progress.add_task("checking photographs", total=len(samples))
        records = [sample.record for sample in samples]
        return check_photographs(records, folder, lambda done: progress.advance(task, done))


def photographs(samples: Sequence[Sample], folder: Path, size: tuple[int, int]) -> Iterator[Image]:
    """What the annotations were made of, at the size of the painted pictures."""
    return (photograph(sample, folder, size) for sample in samples)


def look_with_bar(
    detector: Detector, images: Iterable[Image], vocabulary: list[str], title: str, total: int, progress: Progress
) -> Detections:
    """What the detector sees, with a bar."""
    task = progress.add_task(f"{detector.name} looks at {title}", total=total)
    return look(detector, images, vocabulary, lambda count: progress.advance(task, count))


def category_notes(detector: Detector, categories: Sequence[str]) -> list[str]:
    """Notes on categories that the detector does not know, or does not tell apart."""
    known = [name for name in map(detector.canonical, categories) if name]
    notes = []
    if len(known) < len(categories):
        unknown = f"{len(categories) - len(known)} of {len(categories)} categories"
        notes.append(f"{detector.name} does not know {unknown}, which count as not found")
    if len(set(known)) < len(known):
        notes.append(f"{len(known)} categories are {len(set(known))} to {detector.name}, and are scored so")
    return notes


def published(kind: str) -> tuple[dict[str, float], str]:
    """The published figures of a kind of place or attribute, in percent, and a note on them."""
    data = json.loads(read_bytes(PUBLISHED))
    return data[kind], f"published: {data['source']}; other sets, engines or detectors do not compare with it"


def make_table(title: str, metrics: dict[str, str], rows: dict[str, dict], theirs: dict[str, float]) -> Table:
    """One line for each metric, one column for each row of figures (shares), and the published ones (percent) last.

    Args:
        metrics: label -> path such as ``box.ap``.
    """
    lines = []
    for label, path in metrics.items():
        cells = [percent(figure_at(figures, path)) for figures in rows.values()]
        lines.append([label, *cells, f"{theirs[path]:.1f}" if path in theirs else "-"])
    return Table(title, ["percent", *rows, "published"], lines)

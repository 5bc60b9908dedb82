"""Paints what annotations say, in parts: by one process, by jobs that know nothing of each other, or by workers of Ray.

Every part is a folder with a manifest of its own below one folder, so that no job touches what another has painted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators import manifest as manifests
from evaluators.attributes import word_of
from evaluators.coco.dataset import PLACES, Dataset, read_dataset
from evaluators.manifest import Job, Manifest, open_manifest, read_manifest
from instdiff.errors import BadInput, InstDiffError, ServiceError
from instdiff.render_settings import RenderSettings, resolved

if TYPE_CHECKING:
    from rich.progress import Progress

    from instdiff.engine import Engine

BATCH = 8
SETTINGS = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "mis": "mis",
    "alpha": "alpha",
    "seed": "seed",
}
NO_RAY = '--ray needs the package ray: pip install -e ".[ray]"'
QUIET_RAY = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20}
LOOK_EVERY_S = 2.0


@dataclass(frozen=True)
class Work:
    """What is painted from which annotations, and how: all that a process needs to take its part.

    ``attribute`` is empty, or the kind of word that every thing gets before its category (see `evaluators.attributes`).
    """

    annotations: Path
    captions: Path | None
    place: str
    engine: str
    settings: RenderSettings
    folder: Path
    attribute: str = ""
    count: int | None = None
    batch: int = BATCH

    def dataset(self) -> Dataset:
        return read_dataset(self.annotations, self.captions, self.count)


def add_arguments(parser: argparse.ArgumentParser, out: Path) -> None:
    """The options that say what is painted, and by whom."""
    parser.add_argument(
        "--annotations",
        type=Path,
        required=True,
        metavar="FILE",
        help="COCO annotations, such as instances_val2017.json",
    )
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the photographs, for the upper bound")
    parser.add_argument("--captions", type=Path, metavar="FILE", help="COCO captions, such as captions_val2017.json")
    parser.add_argument(
        "--places", choices=PLACES, default="box", help="the kind of place that is told (default: %(default)s)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="only the first N images, by their numbers")
    parser.add_argument(
        "--engine", default="draft", metavar="NAME", help="what paints: draft, sd15, or a model folder (default: draft)"
    )
    for name, field in SETTINGS.items():
        kind, default = (
            (float, "the engine's")
            if name not in ("steps", "seed")
            else (int, "0" if name == "seed" else "the engine's")
        )
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=f"{field} (default: {default})")
    parser.add_argument(
        "--batch", type=int, default=BATCH, metavar="N", help="layouts painted at once (default: %(default)s)"
    )
    parser.add_argument(
        "--num-jobs", type=int, metavar="N", help="paint one of N parts, and score nothing; with --job-index"
    )
    parser.add_argument("--job-index", type=int, metavar="I", help="which part, from 0")
    parser.add_argument("--merge", action="store_true", help="paint nothing: score what the jobs have painted")
    parser.add_argument("--ray", type=int, metavar="N", help='paint in N processes of Ray (pip install -e ".[ray]")')
    where = "where pictures, results.json and results.md go (default: %(default)s)"
    parser.add_argument("--out", type=Path, default=out, dest="folder", metavar="FOLDER", help=where)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(out=None)  # the results are written into the folder, not into one more file


def read_work(args: argparse.Namespace, attribute: str = "") -> Work:
    """The options, checked; nothing heavy is loaded.

    Raises:
        BadInput: an option is wrong.
    """
    from instdiff.engine import engine_info

    for name, lowest, highest in (
        ("count", 1, None),
        ("batch", 1, 64),
        ("num_jobs", 1, None),
        ("job_index", 0, None),
        ("ray", 1, 256),
    ):
        value = getattr(args, name)
        if value is not None and (value < lowest or (highest and value > highest)):
            raise BadInput(name, f"{value} is outside {lowest}..{highest or ''}")
    if (args.num_jobs is None) != (args.job_index is None):
        raise BadInput("num_jobs", "--num-jobs and --job-index go together: job 0 of 4 is --num-jobs 4 --job-index 0")
    if args.num_jobs is not None and args.job_index >= args.num_jobs:
        raise BadInput("job_index", f"{args.job_index} of {args.num_jobs} jobs; they count from 0")
    if sum((args.num_jobs is not None, args.merge, args.ray is not None)) > 1:
        raise BadInput("merge", "--num-jobs, --merge and --ray are three ways; choose one")
    if not args.merge:
        engine_info(args.engine)  # a wrong name is refused before anything is loaded
    given = {field: getattr(args, name) for name, field in SETTINGS.items() if getattr(args, name) is not None}
    try:
        settings = RenderSettings.parse(given)
    except BadInput as error:
        names = {field: name for name, field in SETTINGS.items()}
        raise BadInput(names.get(error.field, error.field), error.reason) from error
    folder = args.folder / (attribute or args.places)
    return Work(
        args.annotations, args.captions, args.places, args.engine, settings, folder, attribute, args.count, args.batch
    )


def parts(folder: Path, expected: dict | None = None) -> list[tuple[Path, Manifest]]:
    """The parts that jobs have painted below a folder, with their manifests.

    Raises:
        BadInput: two of them, or one and what is expected, were painted with different settings.
    """
    found = []
    for path in sorted(folder.glob("job-*-of-*/manifest.json")):
        manifest = open_manifest(path.parent, expected) if expected else read_manifest(path.parent)
        expected = manifest.painted_with
        found.append((path.parent, manifest))
    return found


def paint_part(work: Work, index: int = 0, of: int = 1, painted: Callable[[int], None] = lambda count: None) -> int:
    """Paint every ``of``-th image from the ``index``-th on, unless it is in this part already, or in that of another
    job.

    Args:
        painted: called with the number of pictures after each batch.

    Returns:
        How many pictures were missing, and are painted now.

    Raises:
        BadInput: what is in the folder was painted with something else.
    """
    from instdiff.engine import load_engine

    dataset = work.dataset()
    engine = load_engine(work.engine)
    settings = resolved(work.settings, engine.defaults)
    expected = _painted_with(work, dataset, engine, settings)
    folder = work.folder / f"job-{index}-of-{of}"
    manifest = open_manifest(folder, expected)
    done = {key for _, part in parts(work.folder, expected) for key in part.keys}
    samples = [sample for sample in dataset.samples[index::of] if sample.key not in done]
    word = word_of(work.attribute) if work.attribute else None
    for first in range(0, len(samples), work.batch):  # layouts are made as they are needed: masks take room
        some = samples[first : first + work.batch]
        jobs = [
            Job(sample.key, sample.told(work.place, engine.native_size, word), settings.seed + sample.id)
            for sample in some
        ]
        manifest = manifests.paint(folder, manifest, jobs, engine, settings, work.batch, painted)
    return len(samples)


def _painted_with(
    work: Work, dataset: Dataset, engine: Engine, settings: RenderSettings
) -> dict[str, str | int | float]:
    size = "{} x {}".format(*engine.native_size)
    told = {
        "place": work.place,
        "attribute": work.attribute,
        "annotations": dataset.sha256,
        "size": size,
        "seed": settings.seed,
    }
    return manifests.painted_with(engine, settings, **told)


def paint_all(work: Work, total: int, workers: int | None, progress: Progress) -> int:
    """Paint what no part holds yet, here or in processes of Ray, with a bar; returns how many pictures that were."""
    before = _count(work.folder)
    task = progress.add_task(f"painting {work.attribute or work.place}", total=total, completed=min(before, total))
    if workers:
        _paint_with_ray(work, workers, lambda count: progress.update(task, completed=min(count, total)))
    else:
        paint_part(work, painted=lambda count: progress.advance(task, count))
    return _count(work.folder) - before


def _count(folder: Path) -> int:
    return len({key for _, manifest in parts(folder) for key in manifest.keys})


def _paint_with_ray(work: Work, workers: int, count: Callable[[int], None]) -> None:
    """One part for each of ``workers`` processes; ``count`` is told again and again how many pictures there are.

    Raises:
        ServiceError: Ray is not installed or does not start, or a worker failed.
    """
    ray = _started_ray(workers)
    try:
        gpus = min(ray.cluster_resources().get("GPU", 0) / workers, 1)
        paint = ray.remote(num_cpus=1, num_gpus=gpus)(paint_in_worker)
        waiting = [paint.remote(work, index, workers) for index in range(workers)]
        while waiting:
            done, waiting = ray.wait(waiting, timeout=LOOK_EVERY_S)
            count(_count(work.folder))
            for failure in filter(None, ray.get(done)):
                raise ServiceError(f"a worker failed: {failure}")
    except ray.exceptions.RayError as error:
        raise ServiceError(f"a worker failed: {(str(error).strip().splitlines() or [''])[-1]}") from error
    finally:
        ray.shutdown()


def _started_ray(workers: int):
    """The package, started on this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ServiceError(NO_RAY) from error
    try:
        ray.init(address="local", num_cpus=workers, log_to_driver=False, logging_level="ERROR", **QUIET_RAY)
    except Exception as error:  # of no kind of its own, where the machine is too slow or has no memory left
        raise ServiceError(
            f"Ray does not start: {(str(error).strip().splitlines() or [type(error).__name__])[0]}"
        ) from error
    return ray


def paint_in_worker(work: Work, index: int, of: int) -> str:
    """Paint a part; returns what went wrong, in words, for an error of ours does not travel between processes."""
    try:
        paint_part(work, index, of)
    except InstDiffError as error:
        return str(error)
    return ""

"""Paints what annotations say, in parts: by one process, by jobs that know nothing of each other, or by workers of Ray.

Every part is a folder with a manifest of its own below one folder, so that no job touches what another has painted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from evaluators import manifest as manifests
from evaluators.attributes import word_of
from evaluators.coco.dataset import PLACES, Dataset, read_dataset
from evaluators.manifest import Job, open_manifest, read_parts
from evaluators.ray_cluster import ray_running
from evaluators.reporting import EvaluationResult, add_output_arguments, progress_bar
from instdiff.cli import add_options, given_values, parse_values
from instdiff.engine import engine_info, load_engine
from instdiff.errors import BadInput, InstDiffError, ServiceError
from instdiff.formats.coco_file import CROWD_HELP, Crowd
from instdiff.render_settings import RenderSettings, resolve_settings

if TYPE_CHECKING:
    from rich.progress import Progress

BATCH = 8
SETTINGS = ("steps", "guidance", "mis", "alpha", "seed")  # the flags of `RenderSettings` that are taken
LIMITS = {"count": (1, inf), "batch": (1, 64), "num_jobs": (1, inf), "job_index": (0, inf), "ray": (1, 256)}
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
    crowd: Crowd = "auto"

    def dataset(self) -> Dataset:
        """The annotations, of which something can be painted.

        Raises:
            BadInput: see `read_dataset` and `Dataset.check`.
        """
        dataset = read_dataset(self.annotations, self.captions, self.count, self.crowd)
        dataset.check(self.place)
        return dataset


def add_arguments(parser: argparse.ArgumentParser, out: Path) -> None:
    """The options that say what is painted, and by whom."""
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="COCO annotations of instances")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the photographs, for the upper bound")
    parser.add_argument("--captions", type=Path, metavar="FILE", help="COCO captions, such as captions_val2017.json")
    parser.add_argument("--places", choices=PLACES, default="box", help="the kind of place that is told (%(default)s)")
    parser.add_argument("--crowd", choices=get_args(Crowd), default="auto", help=CROWD_HELP)
    parser.add_argument("--count", type=int, metavar="N", help="only the first N images, by their numbers")
    parser.add_argument("--engine", default="draft", metavar="NAME", help="draft, sd15, or a model folder (draft)")
    add_options(parser, RenderSettings, SETTINGS)
    parser.add_argument("--batch", type=int, default=BATCH, metavar="N", help="layouts painted at once (%(default)s)")
    parser.add_argument("--num-jobs", type=int, metavar="N", help="only paint one of N parts; with --job-index")
    parser.add_argument("--job-index", type=int, metavar="I", help="which part, from 0")
    parser.add_argument("--merge", action="store_true", help="paint nothing: score what the jobs have painted")
    parser.add_argument("--ray", type=int, metavar="N", help='paint in N processes of Ray (pip install -e ".[ray]")')
    add_output_arguments(parser, out)


def read_work(args: argparse.Namespace, attribute: str = "") -> Work:
    """The options, checked; nothing heavy is loaded.

    Raises:
        BadInput: an option is wrong.
    """
    for name, (lowest, highest) in LIMITS.items():
        value = getattr(args, name)
        if value is not None and not lowest <= value <= highest:
            raise BadInput(name, f"{value} is outside {lowest}..{highest if highest < inf else ''}")
    if (args.num_jobs is None) != (args.job_index is None):
        raise BadInput("num_jobs", "--num-jobs and --job-index go together: job 0 of 4 is --num-jobs 4 --job-index 0")
    if args.num_jobs is not None and args.job_index >= args.num_jobs:
        raise BadInput("job_index", f"{args.job_index} of {args.num_jobs} jobs; they count from 0")
    if sum((args.num_jobs is not None, args.merge, args.ray is not None)) > 1:
        raise BadInput("merge", "--num-jobs, --merge and --ray are three ways; choose one")
    if not args.merge:
        engine_info(args.engine)  # a wrong name is refused before anything is loaded
    settings = parse_values(RenderSettings, given_values(RenderSettings, vars(args), SETTINGS))
    folder = args.folder / (attribute or args.places)
    source = (args.annotations, args.captions, args.places)
    return Work(*source, args.engine, settings, folder, attribute, args.count, args.batch, args.crowd)


def paint_part(work: Work, index: int = 0, count: int = 1, painted: Callable[[int], object] = lambda _: None) -> int:
    """Paint every ``count``-th image from the ``index``-th on, unless this part or that of another job has it.

    Args:
        painted: called with the number of pictures after each batch.

    Returns:
        How many pictures were missing, and are painted now.

    Raises:
        BadInput: what is in the folder was painted with something else.
    """
    dataset = work.dataset()
    engine = load_engine(work.engine)
    settings = resolve_settings(work.settings, engine.defaults)
    expected: dict = {"place": work.place, "attribute": work.attribute, "annotations": dataset.sha256}
    if work.crowd != "auto":
        expected["crowd"] = work.crowd
    expected |= {"size": "{} x {}".format(*engine.native_size), "seed": settings.seed}
    expected |= manifests.painted_with(engine, settings)
    folder = work.folder / f"job-{index}-of-{count}"
    manifest = open_manifest(folder, expected)
    done = {key for _, part in read_parts(work.folder, expected) for key in part.keys}
    samples = [sample for sample in dataset.samples[index::count] if sample.key not in done]
    word = word_of(work.attribute) if work.attribute else None
    for first in range(0, len(samples), work.batch):  # layouts are made as they are needed: masks take room
        jobs = [
            Job(sample.key, sample.conditioned(work.place, engine.native_size, word), settings.seed + sample.id)
            for sample in samples[first : first + work.batch]
        ]
        manifest = manifests.paint(folder, manifest, jobs, engine, settings, work.batch, painted)
    return len(samples)


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
    return len({key for _, manifest in read_parts(folder) for key in manifest.keys})


def run_part(args: argparse.Namespace, work: Work, dataset: Dataset) -> EvaluationResult:
    """Paint the part of one job; there is nothing to score yet."""
    total = len(dataset.samples[args.job_index :: args.num_jobs])
    part = f"part {args.job_index} of {args.num_jobs}"
    with progress_bar() as progress:
        task = progress.add_task(f"painting {part}", total=total)
        count = paint_part(work, args.job_index, args.num_jobs, lambda done: progress.advance(task, done))
    note = f"{part}: {count} of {total} pictures painted now; when all parts are, score them with --merge"
    return EvaluationResult(args.evaluation, {"painted": count, "of": total}, notes=[note])


def paint_missing(args: argparse.Namespace, work: Work, dataset: Dataset, progress: Progress) -> list[str]:
    """Paint what is missing; returns notes on how long it took."""
    start = time.monotonic()
    count = paint_all(work, len(dataset.samples), args.ray, progress)
    seconds = time.monotonic() - start
    return [f"{count} pictures painted in {seconds:.0f} s, {seconds / count:.2f} s each"] if count else []


def _paint_with_ray(work: Work, workers: int, progress: Callable[[int], object]) -> None:
    """One part for each of ``workers`` processes; ``progress`` is told again and again how many pictures there are.

    Raises:
        ServiceError: Ray is not installed or does not start, or a worker failed.
    """
    with ray_running(workers) as ray:
        try:
            gpus = min(ray.cluster_resources().get("GPU", 0) / workers, 1)
            paint = ray.remote(num_cpus=1, num_gpus=gpus)(paint_in_worker)
            waiting = [paint.remote(work, index, workers) for index in range(workers)]
            while waiting:
                done, waiting = ray.wait(waiting, timeout=LOOK_EVERY_S)
                progress(_count(work.folder))
                for failure in filter(None, ray.get(done)):
                    raise ServiceError(f"a worker failed: {failure}")
        except ray.exceptions.RayError as error:
            raise ServiceError(f"a worker failed: {(str(error).strip().splitlines() or [''])[-1]}") from error


def paint_in_worker(work: Work, index: int, count: int) -> str:
    """Paint a part; returns what went wrong, in words, for an error of ours does not travel between processes."""
    try:
        paint_part(work, index, count)
    except InstDiffError as error:
        return str(error)
    return ""

"""What a dataset is worth: the same small detector learns from its pictures, from as many real ones, and from both."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from agent.benchmarks.detector_examples import (
    Naming,
    Photographs,
    composites,
    dataset_examples,
    first_of,
    in_catalogue,
    planned_classes,
    shared_classes,
    together,
)
from agent.benchmarks.proof_options import ProofOptions
from agent.dataset.export.card import PROOF
from agent.dataset.export.labels import LabelOptions
from agent.dataset.export.records import ExportOptions, Records, read_records
from agent.dataset.folder import Folder
from agent.runs import read_json, write_json
from instdiff.errors import BadInput
from instdiff.training.draft.catalogue import NAMES
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.detector import CLIP_NORM, DetectorTask, make_detector
from instdiff.training.draft.held_out import HELD_OUT_SEED, ScoredPictures
from instdiff.training.draft.labelled_pictures import FixedPictures, LabelledPictures
from instdiff.training.loop import TrainingPlan, make_accelerator, train

if TYPE_CHECKING:
    from instdiff.training.draft.sprites import Sprite

PLAN = TrainingPlan(rate=1.5e-3, warmup=100, cooldown=0.3, ema=0.998, clip_norm=CLIP_NORM)
TRAININGS = "trainings"  # folder of what single trainings reached, in the dataset's
COMPOSITES_SEED = 7_000_000
LEAST_AP50 = 0.05  # of real pictures: a training that teaches less says nothing about a dataset
HELD_OUT_SHARE = 1 / 3  # of photographs, at most
DATASET = "dataset"
BOTH = "both"
UNREFINED = "unrefined"


class Score(TypedDict):
    """How well detectors do on held-out pictures, over the seeds, and after how many steps."""

    ap50: float  # mean
    interval: list[float] | None  # of the mean, 95 %, by Student's t; None of one seed
    each: list[float]
    recall: float  # mean
    labels: int  # that they learned from
    steps: int


@dataclass(frozen=True)
class Real:
    """The real pictures that a dataset is held against.

    Attributes:
        name: ``composites`` or ``photographs``.
        naming: gives the class of a label of a dataset.
        classes: that detectors tell apart, in the order of their numbers.
        examples: to learn from.
        held_out: to be scored on.
    """

    name: str
    naming: Naming
    classes: Sequence[str]
    examples: LabelledPictures
    held_out: ScoredPictures


def prove(
    folder: Folder,
    options: ProofOptions,
    sprites: dict[str, list[Sprite]] | None = None,
    photographs: Photographs | None = None,
    against: Sequence[Folder] = (),
) -> dict[str, object]:
    """Train from nothing on pictures of the training split, on as many real ones, and on both together.

    Real are photographs, or composites of ``sprites``, which then show the things of the dataset alone. Steps and
    augmentation are the same for all: the first training takes ``minutes``, all others as many steps. All are scored on
    the same real pictures, which none has seen. What a training reached is kept in the folder: the same command goes
    on with what was stopped.

    Args:
        against: other datasets, each of which is one more row, with labels by the same options.

    Returns:
        a `Score` of each row, and ``ratio`` and ``ratio_of_both``: of the mean APs, over that of the real pictures;
        ``ratios`` has those of every seed.

    Raises:
        BadInput: the dataset shows nothing that real pictures show, or there are fewer than ``count``, or the training
            is so short that real pictures teach next to nothing; then nothing is written.
    """
    own = _records(folder, options)
    if (there := own.number_in("train")) < (options.count or 1):
        raise BadInput("count", f"{folder.path} has {there} pictures to learn from, not {options.count or 1}")
    real = _composed(own, sprites, options) if photographs is None else _photographed(own, photographs, options)
    sets = _rows(folder, own, real, options, against)
    found = _train_all(folder, sets, real, options)
    scores = {name: score(results, int((sets[name].labels >= 0).sum())) for name, results in found.items()}
    proof = _proof(scores, sets, real)
    write_json(folder.path / PROOF, proof)
    return proof


def _rows(
    folder: Folder, own: Records, real: Real, options: ProofOptions, against: Sequence[Folder]
) -> dict[str, LabelledPictures]:
    """What is learned from, as many pictures of each but for ``both``."""
    sets = {DATASET: _examples(own, real, options), real.name: real.examples}
    if options.unrefined:
        planned = options.model_copy(update={"refine": (), "unverified": None, "extras": None, "boxes": None})
        sets[UNREFINED] = _examples(_records(folder, planned), real, options)
    for other in against:
        sets[_row_name(other, sets)] = _examples(_records(other, options), real, options)
    sets = _of_one_size(sets, options.count)
    return {**sets, BOTH: together(sets[DATASET], sets[real.name])}


def _proof(scores: dict[str, Score], sets: Mapping[str, LabelledPictures], real: Real) -> dict[str, object]:
    """The scores, and the ratios of them; what real pictures teach must be worth comparing with."""
    bound = scores[real.name]
    if bound["ap50"] < LEAST_AP50:
        reason = f"{bound['steps']} steps are too few: as many {real.name} teach an AP50 of {bound['ap50']}"
        raise BadInput("minutes", f"{reason}, less than {LEAST_AP50}; nothing is written")
    about = {"pictures": len(sets[DATASET].images), "categories": len(real.held_out.labels.unique()), "real": real.name}
    proof: dict[str, object] = {**about, "held_out": len(real.held_out.truths), "seeds": len(bound["each"]), **scores}
    proof["ratio"] = _share(scores[DATASET]["ap50"], bound["ap50"])
    proof["ratio_of_both"] = _share(scores[BOTH]["ap50"], bound["ap50"])
    others = [name for name in scores if name != real.name]
    proof["ratios"] = {name: list(map(_share, scores[name]["each"], bound["each"])) for name in others}
    return proof


def _share(ap50: float, bound: float) -> float | None:
    return round(ap50 / bound, 4) if bound else None


def score(results: Sequence[dict[str, float]], labels: int = 0) -> Score:
    """The results of several seeds together."""
    each = [result["ap50"] for result in results]
    mean = round(float(np.mean(each)), 4)
    interval = None
    if len(each) > 1:
        from scipy.stats import t

        reach = float(t.ppf(0.975, len(each) - 1) * np.std(each, ddof=1) / len(each) ** 0.5)
        interval = [round(float(np.mean(each)) - reach, 4), round(float(np.mean(each)) + reach, 4)]
    recall = round(float(np.mean([result["recall"] for result in results])), 4)
    steps = int(results[0]["steps"])
    return {"ap50": mean, "interval": interval, "each": each, "recall": recall, "labels": labels, "steps": steps}


def _records(folder: Folder, options: LabelOptions) -> Records:
    labels = {name: getattr(options, name) for name in LabelOptions.model_fields}
    return read_records(folder, ExportOptions(**labels))


def _examples(records: Records, real: Real, options: ProofOptions) -> LabelledPictures:
    return dataset_examples(records, real.naming, real.classes, options.side)


def _composed(own: Records, sprites: dict[str, list[Sprite]] | None, options: ProofOptions) -> Real:
    """Composites of what the dataset is of."""
    known = {name: in_catalogue(name) for name in planned_classes(own)}
    names = sorted({name for name in known.values() if name and name in (sprites or {})})
    if not names or not sprites:
        raise BadInput("sprites", "composites show nothing that the dataset shows")
    composer = Composer({name: sprites[name] for name in names})
    count = options.count or own.number_in("train")
    examples = composites(composer, count, COMPOSITES_SEED, options.side)
    held_out = composites(composer, options.held_out, HELD_OUT_SEED, options.side)
    return Real("composites", in_catalogue, NAMES, examples, _scored(held_out))


def _photographed(own: Records, photographs: Photographs, options: ProofOptions) -> Real:
    """Photographs of what the dataset shows; those that are held out come first."""
    classes = shared_classes(photographs, planned_classes(own))
    if not classes:
        shown = ", ".join(photographs.names[:10])
        raise BadInput("photographs", f"they show nothing that the dataset shows, but {shown}")
    names = sorted(set(classes.values()))
    held_out = min(options.held_out, int(len(photographs) * HELD_OUT_SHARE))
    last = None if options.count is None else held_out + options.count
    unseen = photographs.examples(slice(0, held_out), classes.get, names, options.side)
    examples = photographs.examples(slice(held_out, last), classes.get, names, options.side)
    if not len(unseen.images) or not len(examples.images):
        raise BadInput("photographs", f"{len(photographs)} are too few to learn from some and be scored on others")
    return Real("photographs", lambda name: name, names, examples, _scored(unseen))


def _scored(examples: LabelledPictures) -> ScoredPictures:
    return ScoredPictures({"clean": examples.images.float() / 127.5 - 1}, examples.things())


def _row_name(folder: Folder, taken: Mapping[str, object]) -> str:
    """The folder's name, unless another row is called so."""
    name = folder.path.resolve().name
    return name if name not in (*taken, BOTH) else str(folder.path.resolve())


def _of_one_size(sets: dict[str, LabelledPictures], count: int | None) -> dict[str, LabelledPictures]:
    """So many pictures of each, or as many as the smallest has.

    Raises:
        BadInput: one has fewer than ``count``, or none.
    """
    smallest = min(sets, key=lambda name: len(sets[name].images))
    most = len(sets[smallest].images)
    if most < (count or 1):
        raise BadInput("count", f"{smallest} has {most} pictures of what all rows show, not {count or 1}")
    return {name: first_of(examples, count or most) for name, examples in sets.items()}


def _train_all(
    folder: Folder, sets: Mapping[str, LabelledPictures], real: Real, options: ProofOptions
) -> dict[str, list[dict[str, float]]]:
    """What each training reached, by row, in the order of the seeds."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sets}
    digests = {name: _digest(examples, real, options) for name, examples in sets.items()}
    plan = replace(PLAN, minutes=options.minutes, steps=options.steps or 0)
    for seed in range(options.seed, options.seed + options.seeds):
        for name, examples in sets.items():
            length = f"{plan.steps} steps" if plan.steps else f"{plan.minutes} minutes"
            kept = folder.path / TRAININGS / f"{digests[name]}-{length.replace(' ', '-')}-{seed}.json"
            if kept.exists():
                result = {figure: float(read_json(kept)[figure]) for figure in ("ap50", "recall", "steps")}
            else:
                task = ExamplesTask(examples, real, options.batch, seed)
                title = f"{name}, {len(examples.images)} pictures, seed {seed}, {length}"
                result = train_detector(task, replace(plan, seed=seed, title=title))
                kept.parent.mkdir(exist_ok=True)
                write_json(kept, {**result, "row": name, "seed": seed})
                print(f"{title}: AP50 {result['ap50']}", file=sys.stderr, flush=True)
            found[name].append(result)
            plan = replace(plan, steps=int(found[DATASET][0]["steps"]))
    return found


def _digest(examples: LabelledPictures, real: Real, options: ProofOptions) -> str:
    """What a training's result depends on, but for its length and seed."""
    digest = hashlib.sha256(json.dumps([options.batch, list(real.classes)]).encode())
    truths = (values for truth in real.held_out.truths for values in truth)
    for values in (*examples, *real.held_out.pictures.values(), *truths):
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class ExamplesTask(DetectorTask):
    """A detector that learns from nothing but these pictures, moved and spoiled; it is looked at in the end alone."""

    def __init__(self, examples: LabelledPictures, real: Real, batch_size: int, seed: int):
        model = make_detector(seed, categories=real.classes)
        super().__init__(model, FixedPictures(examples), real.held_out, batch_size)
        self.end_figures: dict[str, float] = {}

    def check(self) -> dict[str, float]:
        return {}

    def finish(self) -> dict[str, float]:
        self.end_figures = super().finish() | self.held_out.check(self.model)
        return self.end_figures


def train_detector(task: ExamplesTask, plan: TrainingPlan) -> dict[str, float]:
    """Train as planned; returns how well the detector then does."""
    steps = train(task, plan, make_accelerator("auto", "bf16"))
    return {"ap50": task.end_figures["clean_ap50"], "recall": task.end_figures["clean_recall"], "steps": steps}

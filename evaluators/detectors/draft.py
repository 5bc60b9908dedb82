"""The bundled detectors: they know the things of the draft world, on pictures of the draft painter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import instdiff
from evaluators.detectors import Detector, DetectorOptions
from evaluators.questions import Question, Sighting, overlaps
from evaluators.report import FOUND_IOU, Detection
from instdiff.layout import Box, Mask
from instdiff.world.nouns import class_of

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from instdiff.model.detector import DetectionTensors
    from instdiff.model.two_stage import Places

WEIGHTS = Path(instdiff.__file__).parent / "draft"
FOLDERS = {"draft": "detector", "judge": "judge"}
CROPS = "crops"  # the folder of the second stage, in that of the first
BATCH_SIZE = 16
LONGEST_SIDE = 1024  # pixels; of a larger picture no crop needs more
SAME_THING_IOU = 0.5  # places whose things share more show one thing


class DraftDetector(Detector):
    """Reports the things that it is asked for, each with a score, its mask and its looks.

    Args:
        name: ``draft``, the one for the loop, or ``judge``, which scores benchmarks: other widths, trained from another
            seed on other scenes.
        folder: a trained `DenseDetector` with its `CropClassifier`; by default the bundled one of that name.
    """

    def __init__(self, name: str = "draft", folder: Path | None = None):
        from instdiff.model.crop_classifier import CropClassifier
        from instdiff.model.detector import DenseDetector
        from instdiff.model.two_stage import TwoStageDetector

        self.name = name
        folder = folder or WEIGHTS / FOLDERS[name]
        self.model = DenseDetector.from_pretrained(folder)
        self.stages = TwoStageDetector(self.model, CropClassifier.from_pretrained(folder / CROPS))
        config = self.stages.crops.config
        self.threshold = config.score_threshold
        self.found_score = config.found_score
        self.categories = tuple(config.categories)

    def canonical(self, category: str) -> str | None:
        """The detector's own word for a name, synonym, plural or phrase ("two red sofas": "couch"), or None."""
        return class_of(category, self.categories)

    def detect(self, images: list[Image], asked: list[str], min_score: float | None = None) -> list[list[Detection]]:
        """The asked things on each picture, best first. Pictures of any size; boxes are fractions of it.

        All categories compete for a place, asked for or not: a thing that looks most like a bowl is no cup. What scores
        less than the threshold (by default the model's own) is not reported.
        """
        lowest = self.threshold if min_score is None else min_score
        places = self._look(images, [[] for _ in images])
        return [self._detections(picture.things(lowest), asked) for picture in places]

    def ask(
        self, images: list[Image], questions: list[list[Question]], iou_threshold: float = FOUND_IOU
    ) -> list[Sighting]:
        """The answers to the questions about each picture: the planned places are looked at from close by.

        Categories do not compete: each answer says how sure it is that this thing, too, is in this place.
        """
        boxes = [list(dict.fromkeys(box for question in asked for box in question.boxes)) for asked in questions]
        sightings = []
        for places, asked, own in zip(self._look(images, boxes), questions, boxes, strict=True):
            answers = self._answers(places, asked, own, iou_threshold)
            names = [question.category for question in asked]
            sightings.append(Sighting(tuple(answers), tuple(self._detections(places.things(self.threshold), names))))
        return sightings

    def _look(self, images: list[Image], boxes: Sequence[Sequence[Box]]) -> list[Places]:
        """What is in these places of each picture, and in those that the network proposes."""
        import torch

        places: list[Places] = []
        for first in range(0, len(images), BATCH_SIZE):
            batch = images[first : first + BATCH_SIZE]
            asked = [torch.tensor([box.xyxy for box in own]).reshape(-1, 4) for own in boxes[first:][: len(batch)]]
            whole = [self._pixels(image) for image in batch]
            asked = [own.to(self.model.device, torch.float32) for own in asked]
            places += self.stages.look(self.tensor(batch), whole, asked)
        return places

    def _answers(
        self, places: Places, questions: Sequence[Question], boxes: Sequence[Box], iou_threshold: float
    ) -> list[Detection | None]:
        """The surest sight of what each question asks for in its place; ``boxes`` are those of the first places."""
        import torch

        fitting: dict[tuple, tuple[torch.Tensor, torch.Tensor]] = {}  # many questions may be about one place
        chosen: dict[int, tuple[int, int]] = {}  # place and label, by question
        for index, question in enumerate(questions):
            word = self.canonical(question.category)
            where = (question.boxes, question.points)
            if where not in fitting:
                fitting[where] = _sights(question, places, boxes, iou_threshold)
            rows, fits = fitting[where]
            if word is not None and len(rows):
                label = self.categories.index(word)
                best = int(places.scores[rows, label].argmax())
                if fits[best]:
                    chosen[index] = (int(rows[best]), label)
        if not chosen:
            return [None] * len(questions)
        rows, labels = torch.tensor(list(chosen.values()), device=places.boxes.device).T
        seen = places.choose(rows, labels, places.scores[rows, labels])
        answers = {index: self._detection(seen, row) for row, index in enumerate(chosen)}
        return [answers.get(index) for index in range(len(questions))]

    def features(self, images: list[Image]) -> torch.Tensor:
        """What the network makes of each picture, before it looks for things: the means of its three levels, (B, F)."""
        import torch

        with torch.inference_mode():
            x = self.model.stem(self.tensor(images))
            levels = []
            for stage in self.model.stages:
                x = stage(x)
                levels.append(x.mean(dim=(2, 3)))
        return torch.cat(levels, dim=1)

    def _detections(self, things: DetectionTensors, asked: Sequence[str]) -> list[Detection]:
        """Those of the things that are asked for."""
        wanted = {self.canonical(word) for word in asked}
        chosen = [index for index, label in enumerate(things.labels) if self.categories[label] in wanted]
        return [self._detection(things, index) for index in chosen]

    def _detection(self, things: DetectionTensors, index: int) -> Detection:
        """One of the objects seen on a picture."""
        x0, y0, x1, y1 = things.boxes[index].tolist()
        config = self.model.config
        return Detection(
            category=self.categories[things.labels[index]],
            score=float(things.scores[index]),
            box=Box(x0=x0, y0=y0, x1=x1, y1=y1),
            mask=Mask.from_array(things.masks[index].cpu().numpy()),
            colour=config.colours[things.colours[index]] if things.colours[index] >= 0 else "",
            texture=config.textures[things.textures[index]],
        )

    def tensor(self, images: list[Image]) -> torch.Tensor:
        """Pictures -> (B, 3, S, S) in -1..1, stretched to the size that the first stage is trained on."""
        import torch
        from PIL import Image

        size = (self.model.config.image_size,) * 2
        return torch.stack([self._pixels(image.resize(size, Image.Resampling.BILINEAR)) for image in images])

    def _pixels(self, image: Image) -> torch.Tensor:
        """A picture -> (3, H, W) in -1..1; a large one is made smaller first."""
        import numpy as np
        import torch

        if max(image.size) > LONGEST_SIDE:
            image = image.copy()
            image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        return pixels.to(self.model.device, self.model.dtype) / 127.5 - 1


def _sights(
    question: Question, places: Places, boxes: Sequence[Box], iou_threshold: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The places (n,) that show what a question is about, and whether (n,) the thing there fits its own place.

    These are the question's own places and all that show the same thing: where one of those is surer, it knows better
    where the thing ends. A question without boxes is about everything that fits.
    """
    import torch

    from instdiff.model.detector import pairwise_iou

    fits = torch.from_numpy(overlaps(question, places.boxes.cpu().numpy()) >= iou_threshold).to(places.boxes.device)
    own = [index for index, box in enumerate(boxes) if box in question.boxes]
    same = fits
    if own:
        same = (pairwise_iou(places.boxes[own], places.boxes) >= SAME_THING_IOU).any(dim=0)
        same[own] = True
    rows = same.nonzero()[:, 0]
    return rows, fits[rows]


def check(options: DetectorOptions) -> None:
    """The bundled detectors are always there."""


def load(options: DetectorOptions) -> DraftDetector:
    """The bundled detector of this kind."""
    return DraftDetector(options.kind)

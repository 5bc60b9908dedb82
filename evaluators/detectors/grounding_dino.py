"""Grounding DINO (Liu et al., 2023): an open-vocabulary detector that grounds the words of a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluators.detectors import DetectorOptions
from evaluators.detectors.open_vocabulary import ScoringDetector
from evaluators.detectors.weights import model_folder

if TYPE_CHECKING:
    from PIL.Image import Image

MODEL = "IDEA-Research/grounding-dino-tiny"
THRESHOLD = 0.3
FOUND_SCORE = 0.25  # the default of the model's own `post_process_grounded_object_detection`


class GroundingDinoDetector(ScoringDetector):
    """Grounding DINO, asked for the names in as few sentences as its text encoder can read."""

    name = "grounding-dino"
    model_class = "GroundingDinoForObjectDetection"
    found_score = FOUND_SCORE

    def __init__(self, model: str = MODEL, threshold: float = THRESHOLD):
        super().__init__(model, threshold)

    def _questions(self, names: list[str]) -> list[list[str]]:
        """The names in groups, one for each sentence."""
        limit = self.model.config.max_text_len
        groups: list[list[str]] = []
        length = limit
        for name in names:
            tokens = len(self.processor.tokenizer(name, add_special_tokens=False)["input_ids"]) + 1  # and its full stop
            if not groups or length + tokens > limit:
                groups.append([])
                length = 2  # the tokens that begin and end a sentence
            groups[-1].append(name)
            length += tokens
        return groups

    def _scores(self, images: list[Image], names: list[str], questions: Any) -> tuple[np.ndarray, np.ndarray]:
        """All sentences about the same pictures; a box is called what fits it best in any of them."""
        pixels = self.processor.image_processor(images=images, return_tensors="pt")
        scores, boxes = zip(*(self._ground(pixels, group) for group in questions), strict=True)
        table = np.zeros((len(images), sum(part.shape[1] for part in scores), len(names)), np.float32)
        row = 0
        for part, group in zip(scores, questions, strict=True):
            columns = [names.index(name) for name in group]
            table[:, row : row + part.shape[1], columns] = part
            row += part.shape[1]
        return table, np.concatenate(boxes, axis=1)

    def _ground(self, pixels: Any, group: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Scores (B, Q, len(group)) and boxes (B, Q, 4), xyxy as fractions of the pictures."""
        import torch

        batch = len(pixels["pixel_values"])
        target = self.model.device
        limit = self.model.config.max_text_len
        words = self.processor.tokenizer(
            ". ".join(group) + ".", return_offsets_mapping=True, truncation=True, max_length=limit, return_tensors="pt"
        )
        offsets = words.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            tokens = {key: value.repeat(batch, 1).to(target) for key, value in words.items()}
            out = self.model(**pixels.to(target), **tokens)
        logits = out.logits.sigmoid().float().cpu()  # (B, Q, tokens)
        scores = torch.stack([logits[..., own].amax(-1) for own in _tokens_of(group, offsets)], dim=-1)
        centre = out.pred_boxes[..., :2].float().cpu()
        half = out.pred_boxes[..., 2:].float().cpu() / 2
        return scores.numpy(), torch.cat([centre - half, centre + half], dim=-1).numpy()


def check(options: DetectorOptions) -> None:
    """Raise BadInput if the model is not on this machine."""
    model_folder(options.model or MODEL)


def load(options: DetectorOptions) -> GroundingDinoDetector:
    """The detector with this model."""
    return GroundingDinoDetector(options.model or MODEL)


def _tokens_of(group: list[str], offsets: list[list[int]]) -> Iterator[list[int]]:
    """The tokens of each name in the sentence "cat. red car."; those of a name that was cut off are none of its own."""
    start = 0
    for name in group:
        end = start + len(name)
        own = [index for index, (first, last) in enumerate(offsets) if start <= first < last <= end]
        yield own or [0]  # the token that begins the sentence, which is never grounded
        start = end + 2

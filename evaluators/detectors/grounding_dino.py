"""Grounding DINO (Liu et al., 2023): an open-vocabulary detector that grounds the words of a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evaluators.detectors.open_vocabulary import OpenWords, asked, chosen, device, loaded
from evaluators.detectors.weights import model_folder
from evaluators.report import Detection

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MODEL = "IDEA-Research/grounding-dino-tiny"
BATCH_SIZE = 4
THRESHOLD = 0.3


class GroundingDinoDetector(OpenWords):
    """Finds whatever it is asked for.

    Args:
        model: a folder, or the name of a model in the hub's cache.
        threshold: what is seen with less certainty is not reported.

    Raises:
        BadInput: the model is not on this machine.
        ServiceError: it cannot be loaded.
    """

    def __init__(self, model: str = MODEL, threshold: float = THRESHOLD):
        self.name = "grounding-dino"
        self.threshold = threshold
        folder = model_folder(model)
        self.model, self.processor = loaded(self.name, folder, lambda: _load(folder))

    def detect(self, images: list[Image], vocabulary: list[str]) -> list[list[Detection]]:
        """What of the vocabulary is on each picture, best first; boxes are fractions of it."""
        names = asked(vocabulary)
        found = []
        sentences = list(self._sentences(names))
        for first in range(0, len(images) if names else 0, BATCH_SIZE):
            found += self._batch(images[first : first + BATCH_SIZE], names, sentences)
        return found if names else [[] for _ in images]

    def _sentences(self, names: list[str]) -> Iterator[list[str]]:
        """The names in groups that the text encoder can read at once."""
        limit = self.model.config.max_text_len
        group = []
        length = 2  # the tokens that begin and end a sentence
        for name in names:
            tokens = len(self.processor.tokenizer(name, add_special_tokens=False)["input_ids"]) + 1  # and its full stop
            if group and length + tokens > limit:
                yield group
                group = []
                length = 2
            group = [*group, name]
            length = length + tokens
        if group:
            yield group

    def _batch(self, images: list[Image], names: list[str], sentences: list[list[str]]) -> list[list[Detection]]:
        """All sentences about the same pictures; a box is called what fits it best in any of them."""
        import numpy as np

        pixels = self.processor.image_processor(images=[image.convert("RGB") for image in images], return_tensors="pt")
        scores, boxes = zip(*(self._ground(pixels, group) for group in sentences), strict=True)
        table = np.zeros((len(images), sum(part.shape[1] for part in scores), len(names)), np.float32)
        row = 0
        for part, group in zip(scores, sentences, strict=True):
            columns = [names.index(name) for name in group]
            table[:, row : row + part.shape[1], columns] = part
            row += part.shape[1]
        corners = np.concatenate(boxes, axis=1)
        return [chosen(s, c, names, self.threshold) for s, c in zip(table, corners, strict=True)]

    def _ground(self, pixels, group: list[str]) -> tuple[np.ndarray, np.ndarray]:
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
            out = self.model(
                **pixels.to(target), **{key: value.repeat(batch, 1).to(target) for key, value in words.items()}
            )
        tokens = out.logits.sigmoid().float().cpu()  # (B, Q, tokens)
        scores = torch.stack([tokens[..., own].amax(-1) for own in _tokens_of(group, offsets)], dim=-1)
        centre = out.pred_boxes[..., :2].float().cpu()
        half = out.pred_boxes[..., 2:].float().cpu() / 2
        return scores.numpy(), torch.cat([centre - half, centre + half], dim=-1).numpy()


def _tokens_of(group: list[str], offsets: list[list[int]]) -> Iterator[list[int]]:
    """The tokens of each name in the sentence "cat. red car."; those of a name that was cut off are none of its own."""
    start = 0
    for name in group:
        end = start + len(name)
        own = [index for index, (first, last) in enumerate(offsets) if start <= first < last <= end]
        yield own or [0]  # the token that begins the sentence, which is never grounded
        start = end + 2


def _load(folder):
    from transformers import AutoProcessor, GroundingDinoForObjectDetection

    model = GroundingDinoForObjectDetection.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return model.eval().to(device()), AutoProcessor.from_pretrained(folder, local_files_only=True)

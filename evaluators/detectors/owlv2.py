"""OWLv2 (Minderer et al., 2023): an open-vocabulary detector that compares places of the picture with words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluators.detectors.open_vocabulary import OpenWords, asked, chosen, device, loaded
from evaluators.detectors.weights import model_folder
from evaluators.report import Detection

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

MODEL = "google/owlv2-base-patch16-ensemble"
BATCH_SIZE = 4
THRESHOLD = 0.2
PROMPT = "a photo of a {}"


class Owlv2Detector(OpenWords):
    """Finds whatever it is asked for.

    Args:
        model: a folder, or the name of a model in the hub's cache.
        threshold: what is seen with less certainty is not reported.

    Raises:
        BadInput: the model is not on this machine.
        ServiceError: it cannot be loaded.
    """

    def __init__(self, model: str = MODEL, threshold: float = THRESHOLD):
        self.name = "owlv2"
        self.threshold = threshold
        folder = model_folder(model)
        self.model, self.processor = loaded(self.name, folder, lambda: _load(folder))

    def detect(self, images: list[Image], vocabulary: list[str]) -> list[list[Detection]]:
        """What of the vocabulary is on each picture, best first; boxes are fractions of it."""
        names = asked(vocabulary)
        found = []
        if not names:
            return [[] for _ in images]
        words = self._words(names)
        for first in range(0, len(images), BATCH_SIZE):
            found += self._batch(images[first : first + BATCH_SIZE], names, words)
        return found

    def _words(self, names: list[str]):
        """The questions as tokens, (Q, L) each; what is longer than the text encoder reads is cut."""
        limit = self.model.config.text_config.max_position_embeddings
        questions = [PROMPT.format(name) for name in names]
        return self.processor.tokenizer(
            questions, padding="max_length", truncation=True, max_length=limit, return_tensors="pt"
        )

    def _batch(self, images: list[Image], names: list[str], words) -> list[list[Detection]]:
        import torch

        pixels = self.processor.image_processor(images=[image.convert("RGB") for image in images], return_tensors="pt")[
            "pixel_values"
        ]
        with torch.inference_mode():
            out = self.model(
                pixel_values=pixels.to(self.model.device),
                input_ids=words["input_ids"].repeat(len(images), 1).to(self.model.device),  # (B * Q, L)
                attention_mask=words["attention_mask"].repeat(len(images), 1).to(self.model.device),
            )
        scores = out.logits.sigmoid().float().cpu().numpy()  # (B, P, Q)
        corners = _corners(out.pred_boxes.float(), images).cpu().numpy()  # (B, P, 4)
        return [chosen(s, c, names, self.threshold) for s, c in zip(scores, corners, strict=True)]


def _load(folder):
    from transformers import AutoProcessor, Owlv2ForObjectDetection

    model = Owlv2ForObjectDetection.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return model.eval().to(device()), AutoProcessor.from_pretrained(folder, local_files_only=True)


def _corners(boxes: torch.Tensor, images: list[Image]) -> torch.Tensor:
    """Boxes as fractions of the picture: the model sees it padded below or to the right to a square.

    Args:
        boxes: (B, P, 4) centre x, centre y, width, height as fractions of the square.
    """
    import torch

    centre = boxes[..., :2]
    half = boxes[..., 2:] / 2
    corners = torch.cat([centre - half, centre + half], dim=-1)
    scale = torch.tensor([[max(image.size) / image.width, max(image.size) / image.height] * 2 for image in images])
    return corners * scale.to(corners)[:, None]

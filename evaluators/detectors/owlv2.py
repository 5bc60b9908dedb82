"""OWLv2 (Minderer et al., 2023): an open-vocabulary detector that compares places of the picture with words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evaluators.detectors import DetectorOptions
from evaluators.detectors.open_vocabulary import ScoringDetector
from evaluators.detectors.weights import model_folder

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image

MODEL = "google/owlv2-base-patch16-ensemble"
THRESHOLD = 0.2
FOUND_SCORE = 0.1  # the default of the model's own `post_process_grounded_object_detection`
PROMPT = "a photo of a {}"


class Owlv2Detector(ScoringDetector):
    """OWLv2, asked for photos of each name."""

    name = "owlv2"
    model_class = "Owlv2ForObjectDetection"
    found_score = FOUND_SCORE

    def __init__(self, model: str = MODEL, threshold: float = THRESHOLD):
        super().__init__(model, threshold)

    def _questions(self, names: list[str]) -> Any:
        """Tokens, (Q, L); what is longer than the text encoder reads is cut."""
        limit = self.model.config.text_config.max_position_embeddings
        tokenize = self.processor.tokenizer
        prompts = [PROMPT.format(name) for name in names]
        return tokenize(prompts, padding="max_length", truncation=True, max_length=limit, return_tensors="pt")

    def _scores(self, images: list[Image], names: list[str], questions: Any) -> tuple[np.ndarray, np.ndarray]:
        import torch

        pixels = self.processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            out = self.model(
                pixel_values=pixels.to(self.model.device),
                input_ids=questions["input_ids"].repeat(len(images), 1).to(self.model.device),  # (B * Q, L)
                attention_mask=questions["attention_mask"].repeat(len(images), 1).to(self.model.device),
            )
        scores = out.logits.sigmoid().float().cpu().numpy()  # (B, P, Q)
        return scores, _corners(out.pred_boxes.float(), images).cpu().numpy()  # (B, P, 4)


def check(options: DetectorOptions) -> None:
    """Raise BadInput if the model is not on this machine."""
    model_folder(options.model or MODEL)


def load(options: DetectorOptions) -> Owlv2Detector:
    """The detector with this model."""
    return Owlv2Detector(options.model or MODEL)


def _corners(boxes: torch.Tensor, images: list[Image]) -> torch.Tensor:
    """Boxes (B, P, 4) as fractions of the picture, xyxy: the model sees it padded below or to the right to a square.

    Args:
        boxes: (B, P, 4) centre x, centre y, width, height as fractions of the square.
    """
    import torch

    centre = boxes[..., :2]
    half = boxes[..., 2:] / 2
    corners = torch.cat([centre - half, centre + half], dim=-1)
    scale = torch.tensor([[max(image.size) / image.width, max(image.size) / image.height] * 2 for image in images])
    return corners * scale.to(corners)[:, None]

"""CLIP (Radford et al., 2021) from a folder on this machine: pictures and words as vectors that can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.detectors.open_words import device
from evaluators.detectors.weights import model_folder
from instdiff.errors import BadInput, ServiceError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

MODEL = "openai/clip-vit-large-patch14"
BATCH_SIZE = 16


@dataclass(frozen=True)
class ClipModel:
    """Both halves of CLIP; what they give has length 1, so that a dot product is the cosine of the angle."""

    folder: Path
    model: Any
    tokenizer: Any
    processor: Any

    @classmethod
    def load(cls, folder: str | Path = MODEL) -> ClipModel:
        """Load a model; nothing is downloaded.

        Args:
            folder: a folder in transformers layout, also below ``INSTDIFF_MODELS``, or a name in the hub's cache.

        Raises:
            BadInput: it is not on this machine; the reason says what to fetch.
            ServiceError: it cannot be loaded.
        """
        folder = clip_folder(folder)
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

        try:
            model = CLIPModel.from_pretrained(folder, local_files_only=True).eval().to(device())
            return cls(folder, model, AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder, use_fast=False))
        except (OSError, ValueError, RuntimeError) as error:
            raise ServiceError(f"CLIP in {folder} cannot be loaded: {' '.join(str(error).split())[:300]}") from error

    def images(self, images: list[Image]) -> torch.Tensor:
        """(n, D) float32 on the CPU, each row of length 1; the pictures may differ in size."""
        return _in_batches(images, self._images)

    def texts(self, texts: list[str]) -> torch.Tensor:
        """(n, D) float32 on the CPU, each row of length 1; what is longer than CLIP reads is cut."""
        return _in_batches(texts, self._texts)

    def _images(self, images: list[Image]) -> torch.Tensor:
        pixels = self.processor(images=[image.convert("RGB") for image in images], return_tensors="pt")["pixel_values"]
        return self.model.get_image_features(pixel_values=pixels.to(self.model.device)).pooler_output

    def _texts(self, texts: list[str]) -> torch.Tensor:
        limit = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt").to(self.model.device)
        return self.model.get_text_features(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output


def clip_folder(name: str | Path) -> Path:
    """The folder of a model that is on this machine, before anything heavy is loaded.

    Raises:
        BadInput: it is not there; the reason says what to fetch.
    """
    try:
        return model_folder(str(name))
    except BadInput as error:
        raise BadInput("clip", error.reason) from error


def _in_batches(items: list, encode) -> torch.Tensor:
    """All items encoded, a few at a time, as (n, D) rows of length 1."""
    import torch
    from torch.nn.functional import normalize

    with torch.inference_mode():
        rows = [encode(items[first : first + BATCH_SIZE]).float().cpu() for first in range(0, len(items), BATCH_SIZE)]
    return normalize(torch.cat(rows), dim=-1) if rows else torch.empty(0, 0)

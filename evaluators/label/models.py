"""The models that label pictures: each one class around a Hugging Face model folder. Nothing is downloaded here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from evaluators.detectors.open_vocabulary import device, load_quietly
from evaluators.detectors.weights import model_folder
from instdiff.errors import BadInput
from instdiff.formats.files import read_bytes
from instdiff.layout import Box, Mask
from instdiff.world.nouns import things_in

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_TAGS = 20
MIN_PROBABILITY = 0.05
MAX_TOKENS = 40
QUESTION = "Describe this picture in one short sentence."


class Tagger(Protocol):
    """Says what may be on a picture."""

    def tags(self, image: Image) -> list[str]:
        """Names to look for, each once."""


class WordList:
    """The same names for every picture: a file of one a line."""

    def __init__(self, path: Path):
        lines = read_bytes(path).decode("utf-8", "replace").splitlines()
        self.words = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not self.words:
            raise BadInput("tags", f"{path} names nothing")

    def tags(self, image: Image) -> list[str]:
        return self.words


class Classifier:
    """An image classification model: its likeliest labels, or all above a probability where several can hold."""

    def __init__(self, name: str):
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        self.processor, self.model = _load("tagger", name, AutoImageProcessor, AutoModelForImageClassification)

    def tags(self, image: Image) -> list[str]:
        import torch

        inputs = self.processor(images=image, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**inputs).logits[0].float()
        several = self.model.config.problem_type == "multi_label_classification"
        chances = logits.sigmoid() if several else logits.softmax(dim=0)
        best = chances.topk(min(MAX_TAGS, len(chances)))
        likely = best.indices[best.values >= MIN_PROBABILITY].tolist()
        labels = [self.model.config.id2label[index] for index in likely or best.indices.tolist()[:1]]
        return list(dict.fromkeys(label.split(",")[0].strip() for label in labels))  # "tabby, tabby cat"


class Captioner:
    """A model that describes pictures: BLIP and its like, or a chat model that sees."""

    def __init__(self, name: str, field: str = "captioner"):
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.processor, self.model = _load(field, name, AutoProcessor, AutoModelForImageTextToText)
        self.chats = bool(getattr(self.processor, "chat_template", None))

    def captions(self, images: Sequence[Image]) -> list[str]:
        """One sentence for each picture; line ends become spaces."""
        return [" ".join(self._caption(image).split()) for image in images]

    def tags(self, image: Image) -> list[str]:
        """The things that the caption speaks of."""
        return things_in(self.captions([image])[0])

    def _caption(self, image: Image) -> str:
        import torch

        if self.chats:
            content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
            messages = [{"role": "user", "content": content}]
            prompt = self.processor.apply_chat_template(messages, add_generation_prompt=True)
            inputs = self.processor(images=image, text=prompt, return_tensors="pt")
        else:
            inputs = self.processor(images=image, return_tensors="pt")
        with torch.inference_mode():
            tokens = self.model.generate(**inputs.to(self.model.device), max_new_tokens=MAX_TOKENS, do_sample=False)[0]
        answer = tokens[inputs["input_ids"].shape[1] :] if self.chats else tokens
        return self.processor.decode(answer, skip_special_tokens=True)


class Segmenter:
    """SAM (Kirillov et al., 2023): the thing inside a box as a mask."""

    def __init__(self, name: str):
        from transformers import SamModel, SamProcessor

        self.processor, self.model = _load("segmenter", name, SamProcessor, SamModel)

    def masks(self, image: Image, boxes: Sequence[Box]) -> list[Mask | None]:
        """The best mask for each box, of the picture's size; None where it is empty."""
        import torch

        if not boxes:
            return []
        corners = [[box.to_corners(image.size) for box in boxes]]
        inputs = self.processor(images=image, input_boxes=corners, return_tensors="pt")
        inputs = inputs.to(self.model.device, torch.float32)
        with torch.inference_mode():
            out = self.model(**{key: inputs[key] for key in ("pixel_values", "input_boxes")}, multimask_output=False)
        sizes = inputs["original_sizes"].cpu(), inputs["reshaped_input_sizes"].cpu()
        [masks] = self.processor.image_processor.post_process_masks(out.pred_masks.cpu(), *sizes)  # (N, 1, H, W) bool
        return [Mask.from_array(mask) if mask.any() else None for mask in np.asarray(masks[:, 0])]


def load_tagger(name: str) -> Tagger:
    """A model folder as a tagger: classification models name labels, all others are asked for a caption."""
    from transformers import AutoConfig

    def read_config(folder: Path) -> Any:
        return AutoConfig.from_pretrained(folder, local_files_only=True)

    config = load_quietly("tagger", folder_of("tagger", name), read_config)
    classifies = any(kind.endswith("ForImageClassification") for kind in config.architectures or ())
    return Classifier(name) if classifies else Captioner(name, "tagger")


def folder_of(field: str, name: str) -> Path:
    """Where the model lies.

    Raises:
        BadInput: it is not on this machine; the reason says what to fetch.
    """
    try:
        return model_folder(name)
    except BadInput as error:
        raise BadInput(field, error.reason) from error


def _load(field: str, name: str, processor: Any, model: Any) -> tuple[Any, Any]:
    """The processor and the model in a folder, made by these classes of transformers."""

    def load(folder: Path) -> tuple[Any, Any]:
        network = model.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval().to(device())
        return processor.from_pretrained(folder, local_files_only=True), network

    return load_quietly(field, folder_of(field, name), load)

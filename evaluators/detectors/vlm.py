"""A vision-language model behind an OpenAI-compatible endpoint, asked where things are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from evaluators.detectors.dialects import DIALECTS, Found, dialect_of
from evaluators.detectors.open_vocabulary import OpenWords, asked, asked_name
from evaluators.detectors.vision_client import VisionClient
from evaluators.report import Detection
from instdiff.errors import ServiceError
from instdiff.settings import verifier_key, verifier_url

if TYPE_CHECKING:
    from PIL.Image import Image

AT_ONCE = 4  # requests
SIDE_UNIT = 28  # Qwen-VL sees pictures whose sides are multiples of this: sent so, its pixels are ours
MAX_SIDE = 36 * SIDE_UNIT


class VlmDetector(OpenWords):
    """Asks the model for everything that is planned at once, one question a picture.

    A model gives no scores: what it names has the score 1.

    Args:
        model: as the service calls it.
        url: where the service is; by default ``INSTDIFF_VERIFIER_URL``, ``OPENAI_BASE_URL``, or OpenAI's own.
        dialect: how it writes boxes, a key of `DIALECTS`; by default told by the model's name.
        options: of `VisionClient`.

    Raises:
        BadInput: the address is none, or the dialect is not known.
        ServiceError: OpenAI's own service is meant, and there is no key.
    """

    def __init__(self, model: str, url: str | None = None, dialect: str | None = None, **options):
        self.name = f"vlm:{model}"
        self.dialect = DIALECTS[dialect_of(model, dialect)]
        self.client = VisionClient(model, url or verifier_url(), verifier_key(), **options)
        check_key(url)

    def detect(self, images: list[Image], vocabulary: list[str]) -> list[list[Detection]]:
        """What of the vocabulary the model says is on each picture; boxes are fractions of it.

        Raises:
            ServiceError: the service fails, or answers with what cannot be read.
        """
        names = asked(vocabulary)
        if not names:
            return [[] for _ in images]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda image: self._look(image, names), images))

    def _look(self, image: Image, names: list[str]) -> list[Detection]:
        sent = image.convert("RGB").resize(sent_size(image.size))
        return detections(
            self.client.ask(sent, self.dialect.question(names), lambda text: self.dialect.read(text, sent.size)), names
        )


def detections(found: Found, names: list[str]) -> list[Detection]:
    """What a model answered as detections of the names that it was asked for; the same box twice is one."""
    seen = {(asked_name(label, names), box.xyxy): box for label, box in found}
    return [Detection(category=name, score=1.0, box=box) for (name, _), box in seen.items() if name in names]


def sent_size(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) in pixels at which a picture is sent: sides near its own, at most `MAX_SIDE`, in
    `SIDE_UNIT`s.
    """
    scale = min(1.0, MAX_SIDE / max(size))
    return tuple(max(2, round(side * scale / SIDE_UNIT)) * SIDE_UNIT for side in size)


def check_key(url: str | None) -> None:
    """Raise ServiceError if OpenAI's own service is meant and there is no key for it."""
    if not (url or verifier_url() or verifier_key()):
        raise ServiceError(
            "verifier vlm needs the address of its server: give --verifier-url, or set OPENAI_API_KEY for OpenAI's own"
            " service"
        )

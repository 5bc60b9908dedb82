"""A vision-language model behind an OpenAI-compatible endpoint, asked where things are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pydantic import SecretStr

from evaluators.detectors import DetectorOptions
from evaluators.detectors.dialects import DIALECTS, LabelledBox, dialect_of
from evaluators.detectors.open_vocabulary import OpenVocabulary, asked_name, names_to_ask
from evaluators.report import Detection
from instdiff.errors import BadInput, ServiceError
from instdiff.settings import verifier_key, verifier_url
from prompts.budget import Budget
from prompts.client import MAX_ATTEMPTS, Message, ModelClient, Question, Reply
from prompts.service import OPENAI_URL, ChatService, place_of

if TYPE_CHECKING:
    from PIL.Image import Image

AT_ONCE = 4  # requests
MAX_ANSWER_TOKENS = 4_096
TIMEOUT_S = 120.0
SIDE_UNIT = 28  # Qwen-VL sees pictures whose sides are multiples of this: sent so, its pixels are ours
MAX_SIDE = 36 * SIDE_UNIT


class VlmDetector(OpenVocabulary):
    """Asks the model for everything that is planned at once, one question a picture.

    A model gives no scores: what it names has the score 1.

    Args:
        model: as the service calls it.
        url: where the service is; by default ``INSTDIFF_VERIFIER_URL``, ``OPENAI_BASE_URL``, or OpenAI's own.
        dialect: how it writes boxes, a key of `DIALECTS`; by default as the model's name has it.
        timeout_s: of one request, answer included.
        max_attempts: how many requests a picture may take.

    Raises:
        BadInput: the address is none, or the dialect is not known.
        ServiceError: OpenAI's own service is meant, and there is no key.
    """

    def __init__(
        self,
        model: str,
        url: str | None = None,
        dialect: str | None = None,
        timeout_s: float = TIMEOUT_S,
        max_attempts: int = MAX_ATTEMPTS,
    ):
        self.name = f"vlm:{model}"
        self.dialect = DIALECTS[dialect_of(model, dialect)]
        self.client = load_vision_client(model, url, timeout_s, max_attempts)

    def detect(self, images: list[Image], asked: list[str], min_score: float | None = None) -> list[list[Detection]]:
        """What of the asked names the model says is on each picture; boxes are fractions of it.

        Raises:
            ServiceError: the service fails, or answers with what cannot be read.
        """
        names = names_to_ask(asked)
        if not names:
            return [[] for _ in images]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda image: self._detect(image, names), images))

    def _detect(self, image: Image, names: list[str]) -> list[Detection]:
        picture = image.convert("RGB").resize(sent_size(image.size))
        message = Message("human", self.dialect.question(names), picture)

        def read(reply: Reply) -> list[LabelledBox]:
            return self.dialect.read(reply.text, picture.size, names)

        return detections(self.client.ask(Question((message,), "list of boxes", read)), names)


def check(options: DetectorOptions) -> None:
    """Raise BadInput for no model, no dialect or no address, ServiceError if OpenAI's own service has no key."""
    if not options.model:
        raise BadInput("verifier", "vlm needs the name of a model, such as vlm:gpt-4o")
    dialect_of(options.model, options.dialect)
    check_service(options.url)


def load(options: DetectorOptions) -> VlmDetector:
    """The detector that asks this model."""
    return VlmDetector(options.model, options.url, options.dialect)


def load_vision_client(
    model: str, url: str | None = None, timeout_s: float = TIMEOUT_S, max_attempts: int = MAX_ATTEMPTS
) -> ModelClient:
    """The client of a vision-language model; arguments and errors as for `VlmDetector`."""
    check_service(url)
    url = url or verifier_url()
    key = verifier_key()
    provider = "chat" if url else "openai"
    secret = SecretStr(key) if key else None
    service = ChatService(provider, model, url, secret, 0.0, timeout_s, asker="verifier")
    budget = Budget(f"{provider}:{model}", max_answer_tokens=MAX_ANSWER_TOKENS)
    return ModelClient(f"verifier vlm:{model}", service, budget, max_attempts)


def check_service(url: str | None) -> None:
    """Refuse an address that is none, or OpenAI's own service without a key; raises BadInput or ServiceError."""
    place_of(url or verifier_url() or OPENAI_URL, "verifier")
    if not (url or verifier_url() or verifier_key()):
        cure = "give --verifier-url, or set OPENAI_API_KEY for OpenAI's own service"
        raise ServiceError(f"verifier vlm needs the address of its server: {cure}")


def detections(boxes: list[LabelledBox], names: list[str]) -> list[Detection]:
    """What a model answered as detections of the names that it was asked for; the same box twice is one."""
    distinct = {(asked_name(label, names), box.xyxy): box for label, box in boxes}
    return [Detection(category=name, score=1.0, box=box) for (name, _), box in distinct.items() if name in names]


def sent_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels at which a picture is sent: near its own, at most `MAX_SIDE`, in `SIDE_UNIT`s."""
    scale = min(1.0, MAX_SIDE / max(size))
    width, height = (max(2, round(side * scale / SIDE_UNIT)) * SIDE_UNIT for side in size)
    return width, height

"""The grounding checkpoint of CogVLM (Wang et al., 2023), which describes a picture and says where each thing is.

Its network is no part of transformers: it comes as Python code beside the weights. That code runs only if the user says
so, and only in the very version that the user names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.detectors import DetectorOptions
from evaluators.detectors.dialects import DIALECTS, cogvlm
from evaluators.detectors.open_vocabulary import OpenVocabulary, device, load_quietly, names_to_ask
from evaluators.detectors.vlm import detections
from evaluators.detectors.weights import model_folder
from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

MODEL = "zai-org/cogvlm-grounding-generalist-hf"
TOKENIZER = "lmsys/vicuna-7b-v1.5"
NAME = re.compile(r"(?P<model>[^@]+)@(?P<revision>[0-9a-f]{40})")
MAX_NEW_TOKENS = 1024


class CogVlmDetector(OpenVocabulary):
    """Asks the model to describe the picture with boxes, one question a picture; what it names has the score 1.

    Args:
        model: ``owner/model@COMMIT``, a model in the hub's cache at this commit (40 hexadecimal digits).
        trust_remote_code: the user allows the code that comes with the model to run.

    Raises:
        BadInput: code may not be run, no commit is named, or the model is not on this machine.
        ServiceError: it cannot be loaded.
    """

    def __init__(self, model: str, trust_remote_code: bool = False):
        self.name = "cogvlm"
        folder = checked_folder(model, trust_remote_code)
        tokenizer = folder if (folder / "tokenizer_config.json").exists() else model_folder(TOKENIZER)
        self.model, self.tokenizer = load_quietly("verifier cogvlm", folder, lambda weights: _load(weights, tokenizer))

    def detect(self, images: list[Image], asked: list[str], min_score: float | None = None) -> list[list[Detection]]:
        """What of the asked names the model says is on each picture; boxes are fractions of it."""
        names = names_to_ask(asked)
        if not names:
            return [[] for _ in images]
        question = DIALECTS["cogvlm"].question(names)
        answers = [(self._answer(image, question), image.size) for image in images]
        return [detections(cogvlm(answer, size), names) for answer, size in answers]

    def _answer(self, image: Image, question: str) -> str:
        """The model's words about one picture."""
        import torch

        target = self.model.device
        picture = image.convert("RGB")
        parts = self.model.build_conversation_input_ids(self.tokenizer, query=question, history=[], images=[picture])
        inputs = {name: parts[name][None].to(target) for name in ("input_ids", "token_type_ids", "attention_mask")}
        pixels = [[parts["images"][0].to(target, self.model.dtype)]]
        with torch.inference_mode():
            out = self.model.generate(**inputs, images=pixels, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        return self.tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def check(options: DetectorOptions) -> None:
    """Raise BadInput if the model is not on this machine, or its code may not run."""
    checked_folder(options.model, options.trust_remote_code)


def load(options: DetectorOptions) -> CogVlmDetector:
    """The detector with this model."""
    return CogVlmDetector(options.model, options.trust_remote_code)


def checked_folder(model: str, trust_remote_code: bool) -> Path:
    """The folder of a model whose code the user trusts.

    Raises:
        BadInput: the user does not, or names no commit, or the model is not on this machine.
    """
    named = NAME.fullmatch(model)
    if not named:
        cure = f"name its commit, as in cogvlm:{MODEL}@COMMIT (40 digits)"
        raise BadInput("verifier", f"cogvlm runs code that comes with the model: {cure}")
    if not trust_remote_code:
        cure = "read it, then allow it with --trust-remote-code"
        raise BadInput("verifier", f"cogvlm runs code that comes with {model[:200]}; {cure}")
    folder = model_folder(named["model"], named["revision"])
    config = folder / "config.json"
    about = parse_json(read_bytes(config), str(config))
    if "--" in str(about.get("auto_map") if isinstance(about, dict) else None):
        reason = "is taken from yet another model, of which no commit is named"
        raise BadInput("verifier", f"the code of {named['model']} {reason}")
    return folder


def _load(folder: Path, tokenizer: Path):
    """The folder is the snapshot of one commit, so that the code in it is that commit's."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if device() == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        folder, trust_remote_code=True, local_files_only=True, use_safetensors=True, dtype=dtype
    )
    return model.eval().to(device()), AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)

"""Which dialect a vision-language model writes its boxes in, and how it is asked for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from string import Template

import prompts
from evaluators.detectors import answers
from instdiff.errors import BadInput


@dataclass(frozen=True)
class Dialect:
    """How to ask: ``prompt`` is a file of ``prompts`` or a template; and how to read the answer."""

    prompt: str
    read: Callable[[str, tuple[int, int]], answers.Found]

    def question(self, names: list[str]) -> str:
        """The question for these names."""
        text = prompts.read(self.prompt) if self.prompt.endswith(".md") else self.prompt
        words = {"names": json.dumps(names, ensure_ascii=False), "semicolons": " ; ".join(names), "sentence": ". ".join(names)}
        return Template(text).substitute(words)


DIALECTS = {
    "json": Dialect("detect_json.md", answers.plain_json),
    "qwen-pixels": Dialect("detect_qwen.md", answers.qwen_pixels),
    "qwen-1000": Dialect("detect_qwen.md", answers.qwen_thousandths),
    "gemini": Dialect("detect_gemini.md", answers.gemini),
    "paligemma": Dialect("detect $semicolons", answers.paligemma),
    "florence": Dialect("<CAPTION_TO_PHRASE_GROUNDING>$sentence.", answers.florence),
    "cogvlm": Dialect("detect_cogvlm.md", answers.cogvlm),
}
# The first pattern that is found in a model's name decides; what it was trained to write is a matter of its generation.
PATTERNS = (
    (r"qwen-?2[._-]?5", "qwen-pixels"),
    (r"qwen-?3|qwen-?2-?vl|qwen-vl(-chat)?$", "qwen-1000"),
    (r"qwen", ""),
    (r"paligemma", "paligemma"),
    (r"gemini", "gemini"),
    (r"florence", "florence"),
    (r"cogvlm", "cogvlm"),
)


def dialect_of(model: str, named: str | None = None) -> str:
    """The name of the dialect of a model; ``named`` is the user's choice.

    Raises:
        BadInput: there is no such dialect, or the model's name does not tell which of several it writes.
    """
    if named:
        if named not in DIALECTS:
            raise BadInput("verifier_dialect", f'there is no dialect "{named[:60]}"; choose from {", ".join(DIALECTS)}')
        return named
    found = next((name for pattern, name in PATTERNS if re.search(pattern, model.lower())), "json")
    if not found:
        raise BadInput(
            "verifier", f"the name {model[:100]} does not tell what its boxes mean; give --verifier-dialect qwen-pixels (2.5) or qwen-1000"
        )
    return found

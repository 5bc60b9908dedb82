"""What detectors that can be asked for anything have in common: their words, and how their weights are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evaluators.synonyms import open_name
from instdiff.errors import ServiceError


class OpenWords:
    """Knows every category that has a name; synonyms and plurals mean the same."""

    def canonical(self, category: str) -> str | None:
        """The name that is asked for ("couch" for "two red sofas"), or None for no name."""
        return open_name(category)

    def knows(self, category: str) -> bool:
        """True for everything that has a name."""
        return self.canonical(category) is not None


def asked(vocabulary: list[str]) -> list[str]:
    """The names that are asked for, each once."""
    return sorted({name for word in vocabulary if (name := open_name(word))})


def loaded(name: str, folder: Path, load: Callable[[], object]):
    """What ``load`` gives, quietly; whatever goes wrong with a folder of weights is one line.

    Raises:
        ServiceError: the folder cannot be loaded.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return load()
    except Exception as error:  # of many kinds, where a folder is damaged or holds another model
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"verifier {name}: {folder} cannot be loaded: {reason[:200]}") from error


def device() -> str:
    """Where detectors run."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"

"""Engines, planners, verifiers and refiners that this machine can use, told without loading one or asking a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from agent.commands.registry import MODELS
from evaluators.detectors import check_detector, grounding_dino, owlv2
from evaluators.detectors.weights import model_folder
from instdiff import settings
from instdiff.cli import PROGRAM
from instdiff.device import Device, numbers_in, place
from instdiff.engine import engine_info
from instdiff.errors import BadInput, ServiceError
from instdiff.model.refine import find_refiner

GET = f"{PROGRAM} models get"
YOLO = "https://github.com/ultralytics/assets/releases/download/v8.3.0/yolo11m-seg.pt"
OPEN_VOCABULARY = {"owlv2": owlv2.MODEL, "grounding-dino": grounding_dino.MODEL}


class Usable(NamedTuple):
    """A part and whether it can be used; ``about`` says how or why not, ``command`` what to do then."""

    kind: str
    name: str
    usable: bool
    about: str
    command: str = ""


def parts(device: Device) -> list[Usable]:
    """All parts that have a name, the usual one of each kind first."""
    return [*_engines(device), *_planners(), *_verifiers(), *_refiners(device)]


def _engines(device: Device) -> Iterator[Usable]:
    yield Usable("engine", "draft", True, "bundled; drawings of 256 x 256 in seconds on a processor")
    try:
        folder = engine_info("sd15").folder
    except BadInput:
        yield Usable("engine", "sd15", False, _about("sd15"), f"{GET} sd15")
        return
    yield Usable("engine", "sd15", True, f"{folder}: {_painted(device, folder)}")


def _refiners(device: Device) -> Iterator[Usable]:
    try:
        folder = find_refiner("sd15")
    except BadInput:
        yield Usable("refiner", "refiner", False, _about("refiner"), f"{GET} refiner")
        return
    yield Usable("refiner", "refiner", True, f"{folder}: {_painted(device, folder)}")


def _about(name: str) -> str:
    return f"{MODELS[name].summary} ({MODELS[name].kept})"


def _painted(device: Device, folder: Path) -> str:
    """How a model would be put on the device now."""
    return str(place(device, numbers_in(folder)))


def _planners() -> Iterator[Usable]:
    yield Usable("planner", "offline", True, "English, without a language model")
    has_key = bool(settings.openai_key() or settings.openai_base_url())
    about = "a key or an address is set" if has_key else "no key is set"
    yield Usable("planner", "openai:MODEL", has_key, about, "" if has_key else "export OPENAI_API_KEY=...")
    has_ollama = shutil.which("ollama") is not None
    about = "ollama is installed; whether it runs is not asked" if has_ollama else "ollama is not installed here"
    fetch = "curl -fsSL https://ollama.com/install.sh | sh && ollama pull llama3.1"
    yield Usable("planner", "ollama:MODEL", has_ollama, about, "" if has_ollama else fetch)
    has_llama = find_spec("llama_cpp") is not None
    about = "a language model in this process" if has_llama else "llama-cpp-python is not installed"
    install = 'pip install "instdiff-agent[llama]"'
    yield Usable("planner", "llama:FILE.gguf", has_llama, about, "" if has_llama else install)
    yield Usable("planner", "chat:MODEL", True, "any OpenAI-compatible server, named by --planner-url")


def _verifiers() -> Iterator[Usable]:
    yield Usable("verifier", "draft", True, "bundled; for pictures of the draft engine")
    for name, model in OPEN_VOCABULARY.items():
        found = not _refusal(name)
        about = str(model_folder(model)) if found else _about(name)
        yield Usable("verifier", name, found, about, "" if found else f"{GET} {name}")
    refusal = _refusal("yolo")
    install = 'pip install "instdiff-agent[yolo]"'
    weights = f"curl -L --create-dirs -o {settings.models_folder()}/yolo11m-seg.pt {YOLO}"
    command = "" if not refusal else weights if find_spec("ultralytics") else f"{install} && {weights}"
    yield Usable("verifier", "yolo", not refusal, "80 classes of COCO, with masks (AGPL-3.0)", command)
    has_key = bool(settings.verifier_key() or settings.verifier_url())
    about = "a vision-language model behind an address"
    yield Usable("verifier", "vlm:MODEL", has_key, about, "" if has_key else "export INSTDIFF_VERIFIER_KEY=...")


def _refusal(verifier: str) -> str:
    """Why a verifier cannot be used, or nothing."""
    try:
        check_detector(verifier)
    except (BadInput, ServiceError) as error:
        return str(error)
    return ""

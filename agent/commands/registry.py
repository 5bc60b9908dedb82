"""The real weights that `models get` fetches: which files, from where, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from evaluators.detectors import grounding_dino, owlv2
from instdiff.engine import SD15
from instdiff.model.refine import SDXL_REFINER


class Remote(NamedTuple):
    """A file of a repository on the Hugging Face Hub, or of one that lies elsewhere, under ``origin``.

    ``digest`` is its SHA-256, or Git's hash of it; empty takes what the server says.
    """

    repo: str
    path: str
    revision: str = "main"
    digest: str = ""
    origin: str = ""
    optional: bool = False


class Model(NamedTuple):
    """What has a name in ``models get``; ``folder`` is where it lies among the models, ``verifier`` comes with it."""

    summary: str
    folder: str
    files: tuple[Remote, ...]
    kept: str  # what it takes on the disk
    convert: bool = False
    verifier: str = ""

    def is_in(self, models: Path) -> bool:
        """True if it lies in this folder of models. It is put there as a whole."""
        return any((models / self.folder / name).is_file() for name in ("model_index.json", "config.json"))


def _files(repo: str, paths: str, optional: str = "") -> tuple[Remote, ...]:
    needed = tuple(Remote(repo, path) for path in paths.split())
    return needed + tuple(Remote(repo, path, optional=True) for path in optional.split())


# The trained adapters come with their Stable Diffusion 1.5; only its own first convolution lies beside them.
CHECKPOINT = Remote("xudongw/InstanceDiffusion", "instancediffusion_sd15.pth")
STOCK = Remote(
    "frank-xwang/InstanceDiffusion",
    "pretrained/SD_v1_5_input_conv_weight_bias.pth",
    "722900ef03e3579fb693e65a1550333a4a162581",
    "ceb14216ca518f1ed850e37fba916d363d275c87",
    "https://raw.githubusercontent.com/{repo}/{revision}/{path}",
)
TOKENIZER = _files(
    "openai/clip-vit-large-patch14",
    "vocab.json merges.txt tokenizer_config.json config.json",
    "special_tokens_map.json",
)
REFINER = """model_index.json scheduler/scheduler_config.json
text_encoder_2/config.json text_encoder_2/model.fp16.safetensors
tokenizer_2/vocab.json tokenizer_2/merges.txt tokenizer_2/tokenizer_config.json tokenizer_2/special_tokens_map.json
unet/config.json unet/diffusion_pytorch_model.fp16.safetensors
vae/config.json vae/diffusion_pytorch_model.fp16.safetensors"""

MODELS = {
    "sd15": Model(
        "InstanceDiffusion on Stable Diffusion 1.5: the engine of photographs, with a verifier for them",
        SD15,
        (CHECKPOINT, STOCK, *TOKENIZER),
        "3 GB; 14 GB are fetched",
        convert=True,
        verifier="owlv2",
    ),
    "refiner": Model(
        "the SDXL refiner: finer detail with --refine 0.3",
        SDXL_REFINER,
        _files(f"stabilityai/{SDXL_REFINER}", REFINER),
        "6 GB",
    ),
    "owlv2": Model(
        "OWLv2: a verifier that looks for anything that has a name",
        owlv2.MODEL.rpartition("/")[2],
        _files(
            owlv2.MODEL,
            "config.json model.safetensors preprocessor_config.json vocab.json merges.txt tokenizer_config.json",
            "special_tokens_map.json added_tokens.json",
        ),
        "0.6 GB",
    ),
    "grounding-dino": Model(
        "Grounding DINO: another such verifier",
        grounding_dino.MODEL.rpartition("/")[2],
        _files(
            grounding_dino.MODEL,
            "config.json model.safetensors preprocessor_config.json tokenizer.json tokenizer_config.json vocab.txt",
            "special_tokens_map.json",
        ),
        "0.7 GB",
    ),
}

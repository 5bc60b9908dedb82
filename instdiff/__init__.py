"""InstanceDiffusion: layouts, their files, and the model that paints them.

Importing this package costs little: what it has loads on first use, the pipeline (and with it torch) too.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from instdiff.errors import BadInput, InstDiffError, ServiceError

if TYPE_CHECKING:
    from instdiff.formats import layouts_from_coco, load_layout, save_layout
    from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble
    from instdiff.model.autoencoder import PatchAutoencoder
    from instdiff.model.pipeline import InstanceDiffusionPipeline
    from instdiff.model.unet import InstanceUNet
    from instdiff.model.unifusion import UniFusion

# Also where diffusers looks for the classes that a model folder's index names.
_LAZY = {
    "InstanceDiffusionPipeline": "instdiff.model.pipeline",
    "InstanceUNet": "instdiff.model.unet",
    "PatchAutoencoder": "instdiff.model.autoencoder",
    "UniFusion": "instdiff.model.unifusion",
    **dict.fromkeys(("Box", "Instance", "Layout", "Mask", "Point", "Scribble"), "instdiff.layout"),
    "layouts_from_coco": "instdiff.formats",
    "load_layout": "instdiff.formats",
    "save_layout": "instdiff.formats",
}

__version__ = "0.1.0"  # the one place: pyproject.toml and `--version` read it

__all__ = ["BadInput", "Box", "InstDiffError", "Instance", "Layout", "Mask", "Point", "Scribble", "ServiceError"]
__all__ += ["InstanceDiffusionPipeline", "InstanceUNet", "PatchAutoencoder", "UniFusion"]
__all__ += ["__version__", "layouts_from_coco", "load_layout", "save_layout"]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'instdiff' has no attribute {name!r}")


if "diffusers" in sys.modules:  # whose DiffusionPipeline then finds ours by its name
    import_module("instdiff.model.pipeline")

"""InstanceDiffusion: layouts, and the model that paints them.

Importing this package costs nothing; the pipeline (and with it torch) loads on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from instdiff.errors import BadInput, InstDiffError, ServiceError
from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble

if TYPE_CHECKING:
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
}

__all__ = [
    "BadInput",
    "Box",
    "InstDiffError",
    "Instance",
    "InstanceDiffusionPipeline",
    "InstanceUNet",
    "Layout",
    "Mask",
    "PatchAutoencoder",
    "Point",
    "Scribble",
    "ServiceError",
    "UniFusion",
]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'instdiff' has no attribute {name!r}")

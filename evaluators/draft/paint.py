"""Paints the held-out layouts into a folder, batch after batch, so that it can be stopped and gone on with.

A folder holds one row of the table, as `evaluators.manifest` keeps it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators import manifest as manifests
from evaluators.draft.held_out import HeldOutLayout
from evaluators.manifest import Job, Manifest
from instdiff.formats.native import layout_to_json
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings, resolve_settings

if TYPE_CHECKING:
    from instdiff.engine import PipelineEngine
    from instdiff.model.unet import InstanceUNet

ABLATIONS = {"mis": "no MIS", "scaleu": "no ScaleU", "captions": "no captions"}  # no captions of instances, that is


@dataclass(frozen=True)
class Row:
    """One row of the table: the kind of place that is told, and the part of `ABLATIONS` left out, or a preset."""

    place: str
    without: str = ""
    preset: str = ""

    @property
    def name(self) -> str:
        if self.preset:
            return f"{self.place}, {self.preset}"
        return f"{self.place}, {ABLATIONS[self.without]}" if self.without else self.place

    @property
    def folder(self) -> str:
        if self.preset:
            return f"{self.place}-{self.preset}"
        return f"{self.place}-without-{self.without}" if self.without else self.place

    def layouts(self, held_out: Sequence[HeldOutLayout], size: tuple[int, int]) -> list[Layout]:
        """What the painter is told, at (width, height) pixels."""
        captions = self.without != "captions"
        return [layout.conditioned(self.place, size, captions) for layout in held_out]

    def settings(self, common: RenderSettings, defaults: RenderSettings) -> RenderSettings:
        """The settings of the row, nothing None, from those of the whole table and the engine's own."""
        changes: dict = {"mis": 0.0} if self.without == "mis" else {}
        changes |= {"preset": self.preset} if self.preset else {}
        return resolve_settings(common.model_copy(update=changes), defaults)


def painted_with(
    row: Row, engine: PipelineEngine, held_out: Sequence[HeldOutLayout], settings: RenderSettings
) -> dict[str, str | int | float]:
    """All that changes a row's pictures, by name.

    Args:
        held_out: all layouts, also those that are not painted this time.
        settings: of the row (see `Row.settings`).
    """
    layouts_json = [layout_to_json(layout) for layout in row.layouts(held_out, engine.native_size)]
    size = "{} x {}".format(*engine.native_size)
    layouts = hashlib.sha256(json.dumps(layouts_json, sort_keys=True).encode()).hexdigest()[:16]
    return manifests.painted_with(engine, settings, row=row.name, size=size, layouts=layouts)


def paint(
    row: Row,
    manifest: Manifest,
    folder: Path,
    engine: PipelineEngine,
    held_out: Sequence[HeldOutLayout],
    settings: RenderSettings,
    batch: int,
    painted: Callable[[int], object],
) -> Manifest:
    """Paint what is missing of ``held_out`` (the first layouts of all); the manifest is written after every batch.

    The noise comes from the layout's own seed, so that rows can be compared.

    Args:
        settings: of the row (see `Row.settings`).
        painted: called with the number of pictures after each batch.
    """
    layouts = row.layouts(held_out, engine.native_size)
    seeds = [layout.seed for layout in held_out]
    jobs = [Job(*job) for job in zip(keys(len(held_out)), layouts, seeds, strict=True)]
    with without_scaleu(engine.pipeline.unet, row.without == "scaleu"):
        return manifests.paint(folder, manifest, jobs, engine, settings, batch, painted)


def keys(count: int) -> list[str]:
    """What the pictures of the first ``count`` layouts are called."""
    return [f"{number:04d}" for number in range(count)]


@contextmanager
def without_scaleu(unet: InstanceUNet, off: bool = True) -> Iterator[None]:
    """Within the block, every ScaleU passes on what it gets: b = s = 0."""
    import torch

    scales = [value for name, value in unet.named_parameters() if ".scaleu." in name] if off else []
    before = [value.detach().clone() for value in scales]
    with torch.no_grad():
        try:
            for value in scales:
                value.zero_()
            yield
        finally:
            for value, old_value in zip(scales, before, strict=True):
                value.copy_(old_value)

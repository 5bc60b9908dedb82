"""Paints the held-out layouts into a folder, batch after batch, so that it can be stopped and gone on with.

A folder holds one row of the table: pictures, and a ``manifest.json`` with what they were painted with and the SHA-256 of each.
What is scored is read through the manifest alone.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from evaluators.draft.layouts import HeldOut
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.formats.native import layout_to_json
from instdiff.formats.png import write_png
from instdiff.layout import Layout, _Value
from instdiff.settings import RenderSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from instdiff.engine import Engine
    from instdiff.unet import InstanceUNet

ABLATIONS = {"mis": "no MIS", "scaleu": "no ScaleU", "captions": "no captions"}  # no captions of instances, that is


@dataclass(frozen=True)
class Row:
    """One row of the table: the kind of place that is told, and which part of the model (of `ABLATIONS`) is left out."""

    place: str
    without: str = ""

    @property
    def name(self) -> str:
        return f"{self.place}, {ABLATIONS[self.without]}" if self.without else self.place

    @property
    def folder(self) -> str:
        return f"{self.place}-without-{self.without}" if self.without else self.place

    def layouts(self, held_out: Sequence[HeldOut], size: tuple[int, int]) -> list[Layout]:
        """What the painter is told, at (width, height) pixels."""
        return [one.conditioned(self.place, size, captions=self.without != "captions") for one in held_out]

    def settings(self, settings: RenderSettings) -> RenderSettings:
        """The settings of the row, given those of the whole table."""
        return settings.model_copy(update={"mis": 0.0}) if self.without == "mis" else settings


class Picture(_Value):
    """One painted picture of a folder: the number of its layout, its file, and the file's SHA-256."""

    layout: int = Field(ge=0)
    file: str = Field(pattern=r"^\d{4}\.png$")
    sha256: str


class Manifest(_Value):
    """What a folder holds; ``painted_with`` is all that changes a picture."""

    painted_with: dict[str, str | int | float]
    pictures: tuple[Picture, ...] = ()


def painted_with(row: Row, engine: Engine, held_out: Sequence[HeldOut], settings: RenderSettings) -> dict[str, str | int | float]:
    """All that changes a row's pictures, by name. ``held_out`` are all layouts, also those that are not painted this time."""
    told = json.dumps([layout_to_json(layout) for layout in row.layouts(held_out, engine.native_size)], sort_keys=True)
    chosen = row.settings(settings)
    return {
        "row": row.name,
        "engine": engine.name,
        "model_hash": engine.model_hash,
        "size": "{} x {}".format(*engine.native_size),
        **{key: getattr(chosen, key) for key in ("num_inference_steps", "guidance_scale", "alpha", "mis")},
        "layouts": hashlib.sha256(told.encode()).hexdigest()[:16],
    }


def open_manifest(folder: Path, expected: dict[str, str | int | float]) -> Manifest:
    """The manifest of a folder, empty where there is none yet.

    Raises:
        BadInput: the folder's pictures were painted with something else; the difference is named.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return Manifest(painted_with=expected)
    manifest = Manifest.parse(parse_json(read_bytes(path), str(path)), str(path))
    found = manifest.painted_with
    different = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
    if different:
        changes = ", ".join(f"{key} {found.get(key)} (now {expected.get(key)})" for key in different)
        raise BadInput(str(folder), f"its pictures were painted with other settings: {changes}; give the same ones, or another --out")
    return manifest


def paint(
    row: Row,
    manifest: Manifest,
    folder: Path,
    engine: Engine,
    held_out: Sequence[HeldOut],
    settings: RenderSettings,
    batch: int,
    painted: Callable[[int], None],
) -> Manifest:
    """Paint what is missing of ``held_out`` (the first layouts of all); the manifest is written after every batch.

    Args:
        painted: called with the number of pictures after each batch.
    """
    done = {picture.layout for picture in manifest.pictures}
    missing = [number for number in range(len(held_out)) if number not in done]
    folder.mkdir(parents=True, exist_ok=True)
    layouts, chosen = row.layouts(held_out, engine.native_size), row.settings(settings)
    with without_scaleu(engine.pipeline.unet, row.without == "scaleu"):
        for first in range(0, len(missing), batch):
            numbers = missing[first : first + batch]
            images = _images(engine, [layouts[number] for number in numbers], chosen, [held_out[number].seed for number in numbers])
            for number, image in zip(numbers, images, strict=True):
                write_png(image, folder / f"{number:04d}.png", layouts[number], manifest.painted_with | {"seed": held_out[number].seed})
            manifest = _with_pictures(manifest, folder, numbers)
            painted(len(numbers))
    return manifest


def _images(engine: Engine, layouts: list[Layout], settings: RenderSettings, seeds: list[int]) -> list[Image]:
    """One picture of each layout, in one batch; the noise comes from the layout's own seed, so that rows can be compared."""
    import torch

    return engine.pipeline(
        layouts,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        alpha=settings.alpha,
        mis=settings.mis,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
    ).images


def _with_pictures(manifest: Manifest, folder: Path, numbers: Sequence[int]) -> Manifest:
    """The manifest with more pictures, written to the folder."""
    files = {number: f"{number:04d}.png" for number in numbers}
    new = [Picture(layout=number, file=name, sha256=_sha256(read_bytes(folder / name))) for number, name in files.items()]
    pictures = tuple(sorted((*manifest.pictures, *new), key=lambda picture: picture.layout))
    manifest = manifest.model_copy(update={"pictures": pictures})
    write_bytes(folder / "manifest.json", json.dumps(manifest.model_dump(), indent=1).encode() + b"\n")
    return manifest


def read_pictures(manifest: Manifest, folder: Path, count: int) -> Iterator[Image]:
    """The pictures of the first ``count`` layouts.

    Raises:
        BadInput: one is missing, or is not the one that was painted.
    """
    from PIL import Image

    by_layout = {picture.layout: picture for picture in manifest.pictures}
    for number in range(count):
        if number not in by_layout:
            raise BadInput(str(folder), f"has no picture of layout {number}")
        path = folder / by_layout[number].file
        content = read_bytes(path)
        if _sha256(content) != by_layout[number].sha256:
            raise BadInput(str(path), f"is not the picture that was painted; remove {folder} and paint anew")
        yield Image.open(io.BytesIO(content)).convert("RGB")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def without_scaleu(unet: InstanceUNet, off: bool = True) -> Iterator[None]:
    """Within the block, every ScaleU passes on what it gets: b = s = 0."""
    import torch

    scales = [value for name, value in unet.named_parameters() if ".scaleu." in name] if off else []
    kept = [value.detach().clone() for value in scales]
    with torch.no_grad():
        try:
            for value in scales:
                value.zero_()
            yield
        finally:
            for value, before in zip(scales, kept, strict=True):
                value.copy_(before)

"""Generated pictures in a folder, and the manifest that says what they are and through which they are read.

A folder of pictures might as well hold the photographs that the layouts were taken from; a manifest cannot: it names
each picture with its SHA-256, and all that they were painted with. A folder that holds pictures of other settings is
refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.formats.png import write_png
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings, resolve_settings
from instdiff.values import Value

if TYPE_CHECKING:
    from PIL.Image import Image

    from instdiff.engine import BatchEngine, PipelineEngine

FILE = "manifest.json"
KEY = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"  # what may name a file in the folder, and nothing outside of it


@dataclass(frozen=True)
class Job:
    """One picture to paint: its name in the manifest, the layout that the engine is told, and the seed of its noise."""

    key: str
    layout: Layout
    seed: int


class Picture(Value):
    """One painted picture. The layout that it was painted from stands in its PNG."""

    key: str = Field(pattern=KEY)
    seed: int
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.key}.png"


class Manifest(Value):
    """What a folder holds; ``painted_with`` is all that changes a picture, but for its layout and seed."""

    painted_with: dict[str, str | int | float]
    pictures: tuple[Picture, ...] = ()

    @property
    def keys(self) -> set[str]:
        return {picture.key for picture in self.pictures}


def prompt_key(prompt: str) -> str:
    """What the picture of a prompt is called: its first words, and a hash, so that no two prompts share a key."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60].strip("-")
    return f"{words or 'picture'}-{_sha256(prompt.encode())[:8]}"


def painted_with(
    engine: BatchEngine, settings: RenderSettings, **more: str | int | float
) -> dict[str, str | int | float]:
    """All that changes pictures, by name: engine, weights, settings (none of them None), and what the caller adds."""
    names = ["num_inference_steps", "guidance_scale", "alpha", "mis"]
    names += ["preset", "scheduler", "guidance_every", "inner_every"] if settings.preset != "exact" else []
    chosen = {name: getattr(settings, name) for name in names}
    return {**more, "engine": engine.name, "model_hash": engine.model_hash, **chosen}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        BadInput: there is none, or it cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        reason = "only pictures with a manifest are scored, so that no photographs are by mistake"
        raise BadInput(str(folder), f"has no {FILE}; {reason}")
    return Manifest.parse(parse_json(read_bytes(path), str(path)), str(path))


def open_manifest(folder: Path, expected: dict[str, str | int | float], another: str = "another --out") -> Manifest:
    """The manifest of a folder that is to be painted into; empty where there is none yet.

    Args:
        another: what the error names as the way out, beside the same settings.

    Raises:
        BadInput: the folder's pictures were painted with something else; the difference is named.
    """
    if not (folder / FILE).exists():
        return Manifest(painted_with=expected)
    manifest = read_manifest(folder)
    stored = manifest.painted_with
    different = [key for key in expected | stored if expected.get(key) != stored.get(key)]
    if different:
        changes = ", ".join(f"{key} {stored.get(key)} (now {expected.get(key)})" for key in different)
        reason = f"its pictures were painted with other settings: {changes}"
        raise BadInput(str(folder), f"{reason}; give the same ones, or {another}")
    return manifest


def read_parts(folder: Path, expected: dict[str, str | int | float] | None = None) -> list[tuple[Path, Manifest]]:
    """The folders ``job-I-of-N`` below a folder, which jobs have painted into, with their manifests.

    Raises:
        BadInput: two of them, or one and what is expected, were painted with different settings.
    """
    parts = []
    for path in sorted(folder.glob(f"job-*-of-*/{FILE}")):
        manifest = open_manifest(path.parent, expected) if expected else read_manifest(path.parent)
        expected = manifest.painted_with
        parts.append((path.parent, manifest))
    return parts


def paint(
    folder: Path,
    manifest: Manifest,
    jobs: Sequence[Job],
    engine: PipelineEngine,
    settings: RenderSettings,
    batch: int,
    painted: Callable[[int], object] = lambda count: None,
) -> Manifest:
    """Paint the jobs that the manifest does not hold yet; it is written after every batch, so painting can stop.

    Args:
        jobs: layouts of one size, which the engine can paint as they are.
        settings: nothing is None.
        batch: layouts painted at once.
        painted: called with the number of pictures after each batch.

    Raises:
        BadInput: two jobs share a key.
    """
    keys = [job.key for job in jobs]
    if len(set(keys)) < len(keys):
        raise BadInput("jobs", f'the key "{next(key for key in keys if keys.count(key) > 1)}" is there twice')
    missing = [job for job in jobs if job.key not in manifest.keys]
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(missing), batch):
        next_jobs = missing[first : first + batch]
        for job, image in zip(next_jobs, _images(engine, next_jobs, settings), strict=True):
            write_png(image, folder / f"{job.key}.png", job.layout, manifest.painted_with | {"seed": job.seed})
        manifest = with_pictures(manifest, folder, next_jobs)
        painted(len(next_jobs))
    return manifest


def _images(engine: PipelineEngine, jobs: Sequence[Job], settings: RenderSettings) -> list[Image]:
    """One picture of each job, in one batch."""
    complete = resolve_settings(settings, engine.defaults)
    return engine.paint([job.layout for job in jobs], complete, [job.seed for job in jobs])


def with_pictures(manifest: Manifest, folder: Path, jobs: Sequence[Job]) -> Manifest:
    """The manifest with more pictures, whose files are in the folder; it is written there too."""
    new = [Picture(key=job.key, seed=job.seed, sha256=_sha256(read_bytes(folder / f"{job.key}.png"))) for job in jobs]
    pictures = tuple(sorted((*manifest.pictures, *new), key=lambda picture: picture.key))
    manifest = manifest.model_copy(update={"pictures": pictures})
    write_bytes(folder / FILE, json.dumps(manifest.model_dump(), indent=1).encode() + b"\n")
    return manifest


def read_pictures(manifest: Manifest, folder: Path, keys: Sequence[str]) -> Iterator[Image]:
    """The pictures of these keys, in their order, as RGB.

    Raises:
        BadInput: one is missing, or is not the one that was painted.
    """
    from PIL import Image

    by_key = {picture.key: picture for picture in manifest.pictures}
    for key in keys:
        if key not in by_key:
            raise BadInput(str(folder), f'has no picture "{key}"')
        path = folder / by_key[key].file
        content = read_bytes(path)
        if _sha256(content) != by_key[key].sha256:
            raise BadInput(str(path), f"is not the picture that was painted; remove {folder} and paint anew")
        yield Image.open(io.BytesIO(content)).convert("RGB")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

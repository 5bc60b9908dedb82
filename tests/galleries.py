"""Folders of pictures with a manifest, as evaluations read them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from evaluators.manifest import Job, Manifest, with_pictures
from instdiff.formats.png import write_png
from instdiff.layout import Layout


def make_gallery(folder: Path, pictures: dict[str, tuple[Image.Image, Layout]], **painted_with) -> Path:
    """Write the pictures with their layouts, and the manifest; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [Job(key, layout, seed) for seed, (key, (_, layout)) in enumerate(pictures.items())]
    for job in jobs:
        write_png(pictures[job.key][0], folder / f"{job.key}.png", job.layout, {"seed": job.seed})
    with_pictures(Manifest(painted_with={"engine": "draft", **painted_with}), folder, jobs)
    return folder


def plain(colour: str, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A picture of one colour."""
    return Image.new("RGB", size, colour)

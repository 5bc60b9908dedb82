"""The held-out layouts that the draft stack is measured on, their composed pictures, and both as a COCO data set."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats.coco import layouts_to_coco
from instdiff.formats.fields import mapping
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import Box, Instance, Layout, Mask
from instdiff.settings import cache_folder

if TYPE_CHECKING:
    from instdiff.training.draft.composer import ComposedInstance, Composer, Composite
    from instdiff.training.draft.scenes import StoredInstance, StoredScene

FILE = Path(__file__).with_name("layouts.jsonl")
FIRST_SEED = 7_000_000
COUNT = 500
PLACES = ("box", "mask", "point", "scribble")
IMAGES = "images"
ANNOTATIONS = "annotations.json"
CAPTIONS = "captions.json"
NO_CAPTION = " "  # what the text encoder reads as nothing, and what is no empty name


@dataclass(frozen=True)
class HeldOutLayout:
    """A scene and the seed that it was composed with."""

    seed: int
    scene: StoredScene

    def truth(self, size: tuple[int, int]) -> Layout:
        """The layout with the boxes and masks of what is seen, on a (width, height) picture."""
        instances = [
            _instance(stored, {"box": stored.box, "mask": Mask.from_array(stored.mask)})
            for stored in self.scene.instances
        ]
        return self._layout(size, instances)

    def conditioned(self, place: str, size: tuple[int, int], captions: bool = True) -> Layout:
        """What the painter is told: the instances by one kind of place alone.

        A point is the middle of the box, as in the published evaluation; a scribble always falls on the same pixels.

        Args:
            place: one of `PLACES`.
            captions: False leaves the instances without words; the caption of the whole stays.
        """
        rng = np.random.default_rng(self.seed)
        instances = []
        for stored in self.scene.instances:
            places = {"point": stored.box.centre} if place == "point" else stored.places(place[0], rng)
            instance = _instance(stored, places)
            if not captions:
                instance = instance.model_copy(update={"caption": NO_CAPTION, "category": ""})
            instances.append(instance)
        return self._layout(size, instances)

    def _layout(self, size: tuple[int, int], instances: list[Instance]) -> Layout:
        return Layout(width=size[0], height=size[1], caption=self.scene.caption, instances=tuple(instances))


def _instance(stored: StoredInstance | ComposedInstance, places: dict) -> Instance:
    return Instance.model_validate({"caption": stored.caption, "category": stored.category, **places})


def read_layouts(path: Path = FILE) -> list[HeldOutLayout]:
    """The layouts in a file of `write_layouts`."""
    from instdiff.training.draft.scenes import StoredInstance, StoredScene

    layouts = []
    for line in read_bytes(path).decode().splitlines():
        record = mapping(parse_json(line, str(path)), str(path))
        instances = []
        for category, caption, (x0, y0, x1, y1), counts, colour, texture in record["instances"]:
            mask = Mask(size=(64, 64), counts=counts)
            box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
            instances.append(StoredInstance(category, caption, box, mask.array, colour, texture))
        layouts.append(HeldOutLayout(record["seed"], StoredScene(record["caption"], instances)))
    return layouts


def write_layouts(sprites: Path, path: Path = FILE, count: int = COUNT, first_seed: int = FIRST_SEED) -> int:
    """Compose ``count`` scenes that are not empty and write their layouts; returns the number of bytes.

    A line is ``{"seed", "caption", "instances": [[category, caption, box xyxy, run lengths at 64 x 64, colour,
    texture]]}``.
    """
    from instdiff.training.draft.scenes import shrink_mask

    composer = make_composer(sprites)
    lines: list[str] = []
    seed = first_seed
    while len(lines) < count:
        composite = _compose(composer, seed)
        if composite.instances:
            instances = []
            for instance in composite.instances:
                counts = Mask.from_array(shrink_mask(instance.mask)).counts
                named_shape = [instance.category, instance.caption, instance.box.xyxy, counts]
                instances.append([*named_shape, instance.colour, instance.texture])
            record = {"seed": seed, "caption": composite.caption, "instances": instances}
            lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        seed += 1
    content = "".join(f"{line}\n" for line in lines).encode()
    write_bytes(path, content)
    return len(content)


def sprites_folder(folder: Path | None) -> Path:
    """The folder of the emoji sets; by default the cache, into which they are fetched.

    Raises:
        ServiceError: they cannot be fetched.
    """
    if folder:
        return folder
    from instdiff.training.draft.sprites import fetch_sprites

    folder = cache_folder() / "sprites"
    fetch_sprites(folder)
    return folder


def make_composer(sprites: Path) -> Composer:
    """The composer of the training scenes, with the drawings in a folder."""
    from instdiff.training.draft.composer import Composer
    from instdiff.training.draft.sprites import load_sprites

    return Composer(load_sprites(sprites))


def recompose(layouts: Sequence[HeldOutLayout], composer: Composer) -> Iterator[Composite]:
    """The composed scene of each layout, its image (256, 256, 3) uint8.

    Raises:
        BadInput: a scene comes out differently than it is stored, because the drawings or the composer are others.
    """
    for number, held_out in enumerate(layouts):
        composite = _compose(composer, held_out.seed)
        stored = [(instance.category, instance.box) for instance in held_out.scene.instances]
        composed = [(instance.category, instance.box) for instance in composite.instances]
        if stored != composed:
            reason = f"layout {number} (seed {held_out.seed}) is composed with other boxes than are stored"
            cure = "the drawings or the composer have changed; write the layouts anew with --write-layouts"
            raise BadInput("sprites", f"{reason} ({_words(composed)}; stored: {_words(stored)}): {cure}")
        yield composite


def _compose(composer: Composer, seed: int) -> Composite:
    return composer.compose(np.random.default_rng(seed))


def _words(instances: list[tuple[str, Box]]) -> str:
    """The first two instances and how many there are."""
    first = [f"{name} at {', '.join(f'{side:.3f}' for side in box.xyxy)}" for name, box in instances[:2]]
    return f"{len(instances)}: {'; '.join(first)}"


def export_coco(
    held_out: Sequence[HeldOutLayout], composer: Composer, folder: Path, written: Callable[[], None] = lambda: None
) -> int:
    """Write the composed pictures, ``annotations.json`` and ``captions.json``; returns the number of annotations.

    Annotations have the box and the mask of what is seen, the caption, the point and the scribble that the benchmark
    tells of the thing, and ``attributes``: ``{"colour", "texture"}``, each where it has been painted so. Images are
    numbered from 1.

    Args:
        written: called after each picture.

    Raises:
        BadInput: a scene comes out differently than it is stored, or the folder cannot be written to.
    """
    try:
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(str(folder), f"cannot be written to: {error.strerror or error}") from error
    layouts = []
    attributes = []
    pairs = zip(held_out, recompose(held_out, composer), strict=True)
    for number, (held_out_layout, composite) in enumerate(pairs, start=1):
        write_bytes(folder / IMAGES / _file(number), _png(composite))
        layouts.append(_layout(held_out_layout, composite))
        attributes += [_attributes(instance.colour, instance.texture) for instance in composite.instances]
        written()
    data = layouts_to_coco(layouts)
    for record in data["images"]:
        record["file_name"] = _file(record["id"])
    for annotation, shown in zip(data["annotations"], attributes, strict=True):
        annotation["attributes"] = shown
    captions = [{"id": image["id"], "image_id": image["id"], "caption": image["caption"]} for image in data["images"]]
    for name, content in ((ANNOTATIONS, data), (CAPTIONS, {"images": data["images"], "annotations": captions})):
        write_bytes(folder / name, json.dumps(content, ensure_ascii=False).encode())
    return len(data["annotations"])


def _layout(held_out: HeldOutLayout, composite: Composite) -> Layout:
    """All places of the instances on the picture, at its own size."""
    height, width = composite.image.shape[:2]
    points = held_out.conditioned("point", (width, height)).instances
    scribbles = held_out.conditioned("scribble", (width, height)).instances
    instances = []
    for instance, point, scribble in zip(composite.instances, points, scribbles, strict=True):
        places = {"box": instance.box, "mask": Mask.from_array(instance.mask)}
        instances.append(_instance(instance, {**places, "point": point.point, "scribble": scribble.scribble}))
    return Layout(width=width, height=height, caption=composite.caption, instances=tuple(instances))


def _attributes(colour: str | None, texture: str | None) -> dict[str, str]:
    return {name: value for name, value in (("colour", colour), ("texture", texture)) if value}


def _file(number: int) -> str:
    return f"{number:012d}.png"


def _png(composite: Composite) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(composite.image).save(buffer, format="PNG")
    return buffer.getvalue()

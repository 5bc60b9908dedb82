"""Pictures whose contents are known, because they are drawn from what is on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

import instdiff
from evaluators.eye.answers import KnownPicture
from instdiff.layout import Box, Instance, Layout
from instdiff.training.draft.backgrounds import background_of, paint_background, paint_plain
from instdiff.training.draft.captions import Look
from instdiff.training.draft.catalogue import THINGS
from instdiff.training.draft.composer import PLAIN_SHARE, Composer, Composite, LayeredScene
from instdiff.training.draft.planned_scenes import PlacedThing
from instdiff.training.draft.scenes import to_tensor
from instdiff.world import knowledge
from instdiff.world.nouns import asked_colour, class_of, with_article

if TYPE_CHECKING:
    from instdiff.model.autoencoder import PatchAutoencoder

SEED = 5
SWAPPED = "swapped"
SIDES = (0.25, 0.6)  # the longer side of a thing that is drawn alone, as a share of the picture's
NOISE = 0.2  # on latents of deviation 1: about what a small painter leaves
AUTOENCODER = Path(instdiff.__file__).parent / "draft" / "vae"


@dataclass(frozen=True)
class ComposedPicture:
    """A picture of the composer's with what it was painted from."""

    seed: int
    scene: LayeredScene
    known: KnownPicture


def compose(composer: Composer, first_seed: int, count: int) -> Iterator[ComposedPicture]:
    """``count`` scenes that are not empty, of every second seed; boxes are of what is seen."""
    seed = first_seed - 2
    for _ in range(count):
        composite = None
        while composite is None or not composite.instances:
            seed += 2
            rng = np.random.default_rng(seed)
            scene = composer.arrange(rng)
            composite = composer.finish(scene, rng)
        known = KnownPicture.of(Image.fromarray(composite.image), layout_of(composite))
        yield ComposedPicture(seed, scene, known)


def layout_of(composite: Composite) -> Layout:
    """What is on a composed picture, by boxes, nearest last."""
    height, width = composite.image.shape[:2]
    things = [Instance(caption=thing.caption, category=thing.category, box=thing.box) for thing in composite.instances]
    return Layout(width=width, height=height, caption=composite.caption, instances=tuple(things))


def repaint(picture: ComposedPicture, autoencoder: PatchAutoencoder) -> KnownPicture:
    """The same picture through the painter's autoencoder, with noise on its latents that its seed decides."""
    import torch

    with torch.inference_mode():
        latents = autoencoder.encode(to_tensor([np.asarray(picture.known.image)])).latent
        noise = np.random.default_rng(picture.seed).standard_normal(latents.shape, dtype=np.float32)
        latents = latents + NOISE * torch.from_numpy(noise) / autoencoder.config.scaling_factor
        pixels = (autoencoder.decode(latents).sample[0].clamp(-1, 1) + 1) * 127.5
    image = Image.fromarray(pixels.round().byte().permute(1, 2, 0).numpy())
    return KnownPicture(image, picture.known.layout, picture.known.present)


def load_autoencoder() -> PatchAutoencoder:
    """The bundled painter's."""
    from instdiff.model.autoencoder import PatchAutoencoder

    return PatchAutoencoder.from_pretrained(AUTOENCODER).eval()


def drawable(layout: Layout, composer: Composer) -> bool:
    """Whether there is something to draw, a drawing and a box of everything, and a drawing to swap one for."""
    drawn = {class_of(instance.name, composer.names) if instance.extent else None for instance in layout.instances}
    return None not in drawn and 0 < len(drawn) < len(composer.names)


def draw_plan(layout: Layout, composer: Composer, seed: int, swapped: bool = False) -> KnownPicture:
    """A `drawable` layout drawn perfectly: every thing fills its planned box, in the colour that its caption asks for.

    What ends lower on the picture is nearer. With ``swapped`` one thing is drawn as one of another category, which is
    not on the plan; the rest of the picture stays the same.
    """
    rng = np.random.default_rng([SEED, seed])
    background = _background(composer, rng)
    names = [str(class_of(instance.name, composer.names)) for instance in layout.instances]
    drawn = list(names)
    changed = None
    if swapped:
        changed = int(rng.integers(len(names)))
        drawn[changed] = str(rng.choice([name for name in composer.names if name not in names]))
    layers = []
    for index, (instance, name) in enumerate(zip(layout.instances, drawn, strict=True)):
        colour = None if index == changed else asked_colour(instance.caption, instance.name)
        assert instance.extent
        x0, y0, x1, y1 = instance.extent.xyxy
        placed = PlacedThing(name, x0, y0, x1 - x0, y1 - y0, depth=y1, standing=True)
        sprite = composer.pick(name, np.random.default_rng([SEED, seed, index]))
        layers.append(composer.layer(placed, sprite, Look(name, colour, None, sprite.noun)))
    layers.sort(key=lambda layer: layer.placed.depth)
    image = Image.fromarray(composer.paint(background, layers))
    return KnownPicture(image, layout, frozenset(drawn), SWAPPED if swapped else "", changed)


def draw_alone(composer: Composer, names: Sequence[str], each: int) -> Iterator[KnownPicture]:
    """Every category ``each`` times by itself, in its natural shape; every second time in a colour, if it has any."""
    for number, name in enumerate(names):
        for take in range(each):
            rng = np.random.default_rng([SEED, number, take])
            background = _background(composer, rng)
            sprite = composer.pick(name, rng)
            scale = rng.uniform(*SIDES) / max(sprite.rgba.shape[:2])
            height, width = (scale * side for side in sprite.rgba.shape[:2])
            left, top = (float(rng.uniform(0, 1 - length)) for length in (width, height))
            colours = THINGS[name].colours if take % 2 else ()
            colour = colours[rng.integers(len(colours))] if colours else None
            placed = PlacedThing(name, left, top, width, height, depth=0.0, standing=False)
            layer = composer.layer(placed, sprite, Look(name, colour, None, sprite.noun))
            caption = with_article(f"{colour} {name}" if colour else name)
            box = Box(x0=left, y0=top, x1=left + width, y1=top + height)
            instance = Instance(caption=caption, category=name, box=box)
            size = composer.size
            layout = Layout(width=size, height=size, caption=caption, instances=(instance,))
            yield KnownPicture.of(Image.fromarray(composer.paint(background, [layer])), layout)


def _background(composer: Composer, rng: np.random.Generator) -> np.ndarray:
    """A random one, plain as often as in composed scenes."""
    if rng.random() < PLAIN_SHARE:
        return paint_plain(rng, composer.size)[0]
    settings = list(knowledge.settings().values())
    return paint_background(background_of(settings[int(rng.integers(len(settings)))]), rng, composer.size)[0]

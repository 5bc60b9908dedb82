"""Painting a round: the pictures of a plan, or parts of the picture before, each written into the round's folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from PIL import Image

from agent import rounds
from agent.events import Event, PreviewReady, Step
from agent.planners.plan import Plan
from agent.repair.repairs import Repair
from agent.request import MAX_ROUNDS, Request
from agent.state import PaintedPicture, PaintedRound
from instdiff import formats
from instdiff.engine import Change, Choice, Engine, Rendering, RepaintingEngine
from instdiff.errors import BadInput
from instdiff.layout import Box, Layout

Promise: TypeAlias = Callable[[Repair, Image.Image], tuple]  # how good a repair looks on an unfinished picture


@dataclass(frozen=True)
class Start:
    """A picture that is changed in some regions, and which of the things in its plan are painted anew there."""

    picture: Path
    regions: tuple[Box, ...]
    apart: tuple[int, ...] = ()


class RoundPainter:
    """Paints one round of a run.

    Args:
        engine: what paints.
        request: what the run is asked for.
        folder: of the round.
        on_event: is told of each step.
        preview_every: steps between two previews; 0 makes none.
    """

    def __init__(
        self, engine: Engine, request: Request, folder: Path, on_event: Callable[[Event], None], preview_every: int = 0
    ):
        self.engine = engine
        self.request = request
        self.folder = folder
        self.index = int(folder.name.removeprefix("round-"))
        self.on_event = on_event
        self.preview_every = preview_every
        self.pictures: list[PaintedPicture] = []
        self.evaluations = 0
        self.rendering: Rendering | None = None
        self.started = time.monotonic()

    @property
    def can_repaint(self) -> bool:
        """True if the engine can paint a part of a picture and keep the rest."""
        return hasattr(self.engine, "repaint")

    def done(self) -> PaintedRound:
        """All pictures so far."""
        rendering = self.rendering
        return PaintedRound(
            pictures=tuple(self.pictures),
            model_hash=rendering.model_hash if rendering else None,
            versions=dict(rendering.versions) if rendering else {},
            settings=rendering.settings.model_dump(exclude={"seed", "num_images"}) if rendering else {},
            unet_evaluations=self.evaluations,
            seconds=round(time.monotonic() - self.started, 3),
        )

    def paint_plan(self, plan: Plan, seed: int, choose: Choice | None = None, repair: int | None = None) -> None:
        """The pictures of a plan, each with a seed of its own, so that each can be painted again alone.

        With ``choose`` more are begun, and only those that it names go on (see `Request.candidates`).
        """
        layout = rounds.as_written(plan.layout)
        settings = rounds.next_settings(self.request.settings, plan, seed)
        if choose:
            begun = settings.model_copy(update={"num_images": self.request.candidates})
            chosen: dict[str, Any] = {"choose": choose}
            rendering = self.engine.render(layout, begun, self._on_step(0, 1), **chosen)
            for image, own in enumerate(rendering.seeds):
                self._keep(rendering, image, layout, own, plan, repair)
            return
        images = self.request.settings.num_images
        for image in range(images):
            own = seed + image
            shown: dict[str, Any] = {"on_preview": self._on_preview(image), "preview_every": self.preview_every}
            own_settings = settings.model_copy(update={"seed": own})
            on_step = self._on_step(image, images)
            rendering = self.engine.render(layout, own_settings, on_step, **(shown if self.preview_every else {}))
            self._keep(rendering, 0, layout, own, plan, repair)

    def paint_start(self, plan: Plan, start: Start, seed: int) -> None:
        """The pictures of a plan in the regions of another picture."""
        layout = rounds.as_written(plan.layout)
        picture = read_image(start.picture)
        seeds = [seed + image for image in range(self.request.settings.num_images)]
        changes = [Change(picture, layout, start.regions, start.apart, own) for own in seeds]
        self._repaint(changes, [plan] * len(seeds), [None] * len(seeds), start.picture)

    def keep(self, plan: Plan, before: Path, seed: int, repair: int | None = None) -> None:
        """A picture as it is, under a plan that may be another."""
        name = self._name("image")
        layout = rounds.as_written(plan.layout)
        formats.write_png(read_image(before), self.folder / name, layout, _about(before))
        self.pictures.append(PaintedPicture(name=name, seed=seed, mis=plan.mis, alpha=plan.alpha, repair=repair))

    def paint_repairs(self, repairs: Sequence[Repair], before: Path, seed: int, promise: Promise | None = None) -> None:
        """What each repair makes of the picture before; those that paint with the same strengths in one batch.

        Of a batch only the pictures of the repair with the highest ``promise`` after a quarter of the steps are
        finished.
        """
        picture = read_image(before)
        images = self.request.settings.num_images
        groups: dict[tuple, list[tuple[int, Change]]] = {}
        for number, repair in enumerate(repairs):
            layout = rounds.as_written(repair.plan.layout)
            first = seed + number * images * MAX_ROUNDS  # beyond the seeds of all rounds
            if repair.anew:
                self.paint_plan(repair.plan, first, repair=number)
            elif not repair.regions:  # the plan alone is another
                self.keep(repair.plan, before, first, number)
            else:
                own = [Change(picture, layout, repair.regions, repair.apart, first + k) for k in range(images)]
                key = (repair.plan.mis, repair.plan.alpha)
                groups.setdefault(key, []).extend((number, change) for change in own)
        for group in groups.values():
            numbers = [number for number, _ in group]
            plans = [repairs[number].plan for number in numbers]
            choose = partial(_most_promising, numbers, repairs, promise) if promise and len(set(numbers)) > 1 else None
            self._repaint([change for _, change in group], plans, numbers, before, choose)

    def _repaint(
        self,
        changes: list[Change],
        plans: list[Plan],
        numbers: Sequence[int | None],
        before: Path,
        choose: Choice | None = None,
    ) -> None:
        settings = rounds.next_settings(self.request.settings, plans[0], changes[0].seed)
        engine = cast(RepaintingEngine, self.engine)  # see `can_repaint`
        rendering = engine.repaint(changes, settings, self._on_step(0, 1), choose=choose)
        rows = {row[0].seed: row for row in zip(changes, plans, numbers, strict=True)}
        for image, own in enumerate(rendering.seeds):
            change, plan, number = rows[own]
            self._keep(rendering, image, change.layout, own, plan, number, before)

    def _keep(
        self,
        rendering: Rendering,
        image: int,
        layout: Layout,
        seed: int,
        plan: Plan,
        repair: int | None,
        before: Path | None = None,
    ) -> None:
        """Write a picture and what the refiner made of it; of both, the last is the one that counts."""
        settings = {**rendering.settings.model_dump(), "seed": seed, "num_images": 1}
        about = {"engine": rendering.engine, "model_hash": rendering.model_hash, "versions": rendering.versions}
        if before:
            about["changed_from"] = f"{before.parent.name}/{before.name}"
        every = {"image": rendering.images[image]}
        if rendering.refined:
            every["refined"] = rendering.refined[image]
        for kind, picture in every.items():
            name = self._name(kind)
            formats.write_png(picture, self.folder / name, layout, {**settings, **about})
        own = rendering.settings
        self.pictures.append(PaintedPicture(name=name, seed=seed, mis=own.mis, alpha=own.alpha, repair=repair))
        if rendering is not self.rendering:
            self.rendering = rendering
            self.evaluations += getattr(rendering, "unet_evaluations", 0)

    def _name(self, kind: str) -> str:
        number = len(self.pictures)
        return f"{kind}-{number}.png" if number else f"{kind}.png"

    def _on_step(self, image: int, images: int) -> Callable[[int, int], None]:
        def on_step(step: int, steps: int) -> None:
            self.on_event(Step(round=self.index, image=image, images=images, step=step, steps=steps))

        return on_step

    def _on_preview(self, image: int) -> Callable[[Image.Image], None]:
        def on_preview(picture: Image.Image) -> None:
            self.on_event(PreviewReady(round=self.index, image=image, picture=picture))

        return on_preview


def _most_promising(
    numbers: Sequence[int], repairs: Sequence[Repair], promise: Promise, images: Sequence[Image.Image]
) -> list[int]:
    """The indices of the unfinished pictures of the repair that promises most, the first of equal ones."""
    scores = [promise(repairs[number], image) for number, image in zip(numbers, images, strict=True)]
    best = numbers[rounds.best_index(scores)]
    return [index for index, number in enumerate(numbers) if number == best]


def _about(picture: Path) -> dict[str, Any]:
    """What a picture says of how it was painted; nothing where it was not painted here."""
    try:
        return formats.read_png(picture)[1]
    except BadInput:
        return {}


def read_image(path: Path) -> Image.Image:
    """A picture of a run as RGB.

    Raises:
        BadInput: it is damaged.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(str(path), "is damaged and cannot be opened as a picture") from error

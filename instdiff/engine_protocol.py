"""What an engine is: what it is given, what it gives back, and the methods by which runs and datasets ask it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from instdiff.layout import Box, Layout
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:
    from PIL.Image import Image

Choice: TypeAlias = "Callable[[list[Image]], Sequence[int]]"  # from unfinished pictures, which of them go on


@dataclass(frozen=True)
class Rendering:
    """Pictures of a layout, and everything needed to make them again."""

    images: list[Image]
    layout: Layout
    settings: RenderSettings  # nothing is None
    engine: str
    model_hash: str
    versions: dict[str, str]
    refined: tuple[Image, ...] = ()  # the pictures after the refiner, where one is asked for
    seeds: tuple[int, ...] = ()  # of the noise of each picture
    unet_evaluations: int = 0  # what they cost: so many latents were given to the UNet


@dataclass(frozen=True)
class Change:
    """A picture of which a part is to be painted anew.

    Attributes:
        picture: of the layout's size, painted by any engine, or a photograph.
        layout: what is to be seen on it afterwards.
        regions: where it may change; every pixel elsewhere stays as it is.
        apart: indices of the instances that are painted anew, which the Multi-Instance Sampler denoises on their own.
        seed: of the noise.
    """

    picture: Image
    layout: Layout
    regions: tuple[Box, ...]
    apart: tuple[int, ...]
    seed: int


class Engine(Protocol):
    """What paints the pictures of a run; any object with these two attributes and this method is an engine.

    `instdiff.engine.PipelineEngine` is ours. An own one is handed to `agent.loop.Agent` as ``engine=``.

    Examples:
        This one paints each box in grey:

        >>> from PIL import Image, ImageDraw
        >>> from instdiff import Box, Instance, Layout
        >>> from instdiff.engine import Engine, Rendering
        >>> from instdiff.render_settings import RenderSettings
        >>> class GreyBoxes:
        ...     name = "grey-boxes"
        ...     native_size = (96, 64)
        ...
        ...     def render(self, layout, settings, on_step=None):
        ...         image = Image.new("RGB", layout.size, "white")
        ...         for instance in layout.instances:
        ...             if instance.extent:
        ...                 ImageDraw.Draw(image).rectangle(instance.extent.to_corners(layout.size), fill="grey")
        ...         if on_step:
        ...             on_step(1, 1)
        ...         return Rendering([image], layout, settings, self.name, "1", {}, seeds=(settings.seed,))
        >>> engine: Engine = GreyBoxes()
        >>> ball = Instance(caption="a ball", box=Box(x0=0.25, y0=0.25, x1=0.75, y1=0.75))
        >>> layout = Layout(width=96, height=64, caption="a ball", instances=(ball,))
        >>> engine.render(layout, RenderSettings()).images[0].getpixel((48, 32))
        (128, 128, 128)

    Attributes:
        name: what runs and their pictures call it.
        native_size: (width, height) in pixels of a plan, where nobody asks for another size.
    """

    # Read alone: as properties they are met by plain attributes, constants and properties.
    @property
    def name(self) -> str: ...

    @property
    def native_size(self) -> tuple[int, int]: ...

    def render(
        self, layout: Layout, settings: RenderSettings, on_step: Callable[[int, int], None] | None = None
    ) -> Rendering:
        """Paint a layout.

        Two more arguments are given where a user asks for what they do, and only then: ``choose=`` (see `Choice`) for
        several candidates, ``on_preview=`` with ``preview_every=`` for pictures before they are finished. See
        `instdiff.engine.PipelineEngine.render`.

        Args:
            settings: the seed and what else is asked for; None is the engine's own choice.
            on_step: to be called with (step, number of steps), counting from 1.

        Returns:
            One picture of the layout's size, RGB, with ``settings.num_images`` of 1.
        """
        ...


class RepaintingEngine(Engine, Protocol):
    """An engine that also paints parts of a picture and keeps the rest; without it a run paints all anew."""

    def repaint(
        self,
        changes: Sequence[Change],
        settings: RenderSettings,
        on_step: Callable[[int, int], None] | None = None,
        *,
        choose: Choice | None = None,
    ) -> Rendering:
        """Paint parts of pictures anew; ``seeds`` of what comes back say whose pictures they are.

        See `instdiff.engine.PipelineEngine.repaint`.
        """
        ...


class BatchEngine(RepaintingEngine, Protocol):
    """An engine that paints datasets.

    Attributes:
        defaults: takes the place of what is None in the settings.
        model_hash: tells its weights from others.
    """

    @property
    def defaults(self) -> RenderSettings: ...

    @property
    def model_hash(self) -> str: ...

    def render_many(self, layouts: list[Layout], settings: RenderSettings, seeds: list[int]) -> list[Image]:
        """One picture of each layout of one size; see `instdiff.engine.PipelineEngine.render_many`."""
        ...

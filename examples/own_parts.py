"""An engine and a verifier of one's own, in the loop. From the checkout: ``python examples/own_parts.py``.

The engine draws ellipses and forgets the last thing of a first picture; the verifier knows things by their colours.
So the first round fails, and the second is verified. Takes a few seconds, and leaves a run under ``outputs/``.
"""

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from agent import Agent
from evaluators.detectors import Detector
from evaluators.report import Detection
from instdiff import Box, Layout
from instdiff.engine_protocol import Rendering
from instdiff.render_settings import RenderSettings

COLOURS = {"apple": "red", "cup": "blue", "table": "saddlebrown"}


class Ellipses:
    """An engine: it has a name, a size of its own, and paints."""

    name = "ellipses"
    native_size = (256, 192)

    def __init__(self) -> None:
        self.pictures = 0

    def render(self, layout: Layout, settings: RenderSettings, on_step=None) -> Rendering:
        image = Image.new("RGB", layout.size)
        for row in range(layout.height):
            ImageDraw.Draw(image).line([(0, row), (layout.width, row)], fill=(235, 245 - row // 4, 255 - row // 2))
        shown = layout.instances if self.pictures else layout.instances[:-1]
        for instance in shown:
            if instance.extent:
                corners = instance.extent.to_corners(layout.size)
                ImageDraw.Draw(image).ellipse(corners, fill=COLOURS.get(instance.category, "grey"))
        self.pictures += 1
        if on_step:
            on_step(1, 1)
        return Rendering([image], layout, settings, self.name, "1", {}, seeds=(settings.seed,))


class ByColour(Detector):
    """A verifier: it says which categories it knows, and what of them is on pictures."""

    name = "by-colour"
    threshold = 0.5
    found_score = 0.5

    def canonical(self, category: str) -> str | None:
        return category if category in COLOURS else None

    def detect(self, images, asked, min_score=None):
        return [[seen for name in asked if (seen := self._find(image, name))] for image in images]

    def _find(self, image: Image.Image, name: str) -> Detection | None:
        """The box around all pixels of the colour of a thing."""
        rows, columns = np.nonzero((np.asarray(image) == ImageColor.getrgb(COLOURS[name])).all(axis=2))
        if not rows.size:
            return None
        corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detection(category=name, score=1.0, box=Box.from_corners(corners, image.size))


layout = Layout.from_boxes(
    [[60, 100, 240, 180], [80, 40, 130, 90], [170, 30, 220, 90]], ["table", "apple", "cup"], Ellipses.native_size
)
run = Agent(engine=Ellipses(), verifier=ByColour(), rounds=2, out="outputs").run(layout=layout)
for number, done in enumerate(run.rounds, start=1):
    print(f"round {number}: {'verified' if done.verified else 'not verified'}")
run.draw().save("outputs/own_parts.png")

"""A layout by hand, a place of each kind. From the checkout: ``python examples/places_by_hand.py``.

Takes some seconds on a CPU, and leaves ``outputs/places_by_hand.json``, a picture, and one with the plan drawn over it.
"""

import numpy as np

from agent import Agent
from instdiff import Box, Instance, Layout, Mask, Point, Scribble, save_layout

SIDE = 256


def ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    """The shape of an ellipse around a point, in pixels: (SIDE, SIDE) bool."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    return ((columns - x) / width) ** 2 + ((rows - y) / height) ** 2 <= 0.25


path = [Point(x=0.1, y=0.9), Point(x=0.25, y=0.84), Point(x=0.4, y=0.92), Point(x=0.55, y=0.85)]
layout = Layout(
    width=SIDE,
    height=SIDE,
    caption="a dog and a red ball on grass, a green snake in front of them, the sun in the sky",
    instances=[
        Instance(caption="a brown dog", category="dog", box=Box.from_corners([20, 90, 120, 205], (SIDE, SIDE))),
        Instance(caption="the sun", category="sun", point=Point(x=0.82, y=0.15)),
        Instance(caption="a green snake", category="snake", scribble=Scribble(points=path)),
        Instance(caption="a red ball", category="ball", mask=Mask.from_array(ellipse(190, 160, 70, 70))),
    ],
)
save_layout(layout, "outputs/places_by_hand.json")  # any editor changes it; --layout paints it

run = Agent(rounds=1, out="outputs").run(layout=layout)
print(f"{run.image}: {'verified' if run.verified else 'not verified'}")
run.draw().save("outputs/places_by_hand.png")

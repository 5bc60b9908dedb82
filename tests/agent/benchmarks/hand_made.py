"""Layouts made by hand, for the benchmarks of plans."""

from instdiff.layout import Box, Instance, Layout


def instance(caption: str, x: float, y: float, width: float = 0.2, height: float = 0.2, category: str = "") -> Instance:
    """An instance with a box around (x, y); the category is the caption's last word if none is given."""
    box = Box(x0=x - width / 2, y0=y - height / 2, x1=x + width / 2, y1=y + height / 2)
    return Instance(caption=caption, category=category or caption.split()[-1], box=box)


def layout(*instances: Instance) -> Layout:
    """A layout of these."""
    return Layout(caption="", instances=instances)


def row(*captions: str) -> Layout:
    """A layout of these from left to right, at one height."""
    step = 1 / max(len(captions), 1)
    return layout(*(instance(caption, (n + 0.5) * step, 0.5, 0.8 * step) for n, caption in enumerate(captions)))

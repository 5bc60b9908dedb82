"""What was planned and is not there is painted over, unless something else goes with it."""

from dataclasses import replace
from functools import partial

import pytest

from agent.dataset.export.labels import LabelOptions, labels_of
from agent.dataset.making import make
from agent.dataset.mending import find_damage
from agent.dataset.sources import Layouts
from instdiff.formats import read_png
from instdiff.layout import Box, Instance, Layout
from tests.agent.doubles import RepaintingPainter
from tests.agent.doubles_dataset import RECIPE, an_order, placed

DOG = Instance(caption="a dog", category="dog", box=Box(x0=0.05, y0=0.2, x1=0.45, y1=0.8))
APART = Box(x0=0.6, y0=0.2, x1=0.95, y1=0.8)


def made(tmp_path, monkeypatch, cat, paint_out=True, repaint=RepaintingPainter.repaint):
    """The item of a picture of a dog and a cat, of which the cat is never painted as a cat."""
    caption = "a dog and a cat in a park"
    layout = Layout(width=128, height=96, caption=caption, instances=(DOG, cat))
    painter = placed(monkeypatch)
    painter.repaint = partial(repaint, painter)
    painter.forget("cat")
    recipe = RECIPE.model_copy(update={"accept": "instance", "paint_out": paint_out, "rounds": 1, "batch": 1})
    order = replace(an_order(tmp_path, Layouts((layout,), "one")), recipe=recipe, count=1)
    order.folder.open({**recipe.fingerprint(), **order.source.about()})
    make(order)
    order.folder.finish(1)
    return order.folder, next(order.folder.read())


def test_what_is_not_there_is_painted_over_and_neither_labelled_nor_ignored(tmp_path, monkeypatch):
    folder, item = made(tmp_path, monkeypatch, Instance(caption="a cat", category="cat", box=APART))
    assert item.painted_out == (1,) and item.notes == ("Painted out: a cat.",) and item.annotated == (0,)
    assert [label.name for label in labels_of(item, LabelOptions())] == ["dog"]
    assert labels_of(item, LabelOptions(unverified="drop")) is not None
    layout, _ = read_png(folder.items / f"{item.key}.png")
    assert layout.caption == "a dog in a park" and len(layout.instances) == 2 and find_damage(folder) == {}


def test_it_stays_where_something_else_would_go_with_it(tmp_path, monkeypatch):
    cat = Instance(caption="a cat", category="cat", box=DOG.box)
    _, item = made(tmp_path, monkeypatch, cat, repaint=paint_grey)
    assert item.painted_out == () and [one.ignore for one in labels_of(item, LabelOptions(extras="none"))] == [False]


def paint_grey(self, changes, settings, **more):
    images = [change.picture.copy() for change in changes]
    for change, image in zip(changes, images, strict=True):
        for region in change.regions:
            image.paste((90, 90, 90), [round(side) for side in region.to_corners(image.size)])
    return type("Painted", (), {"images": images})


@pytest.mark.parametrize("paint_out", [True, False])
def test_only_where_it_is_asked_for_and_older_folders_go_on(tmp_path, monkeypatch, paint_out):
    folder, item = made(tmp_path, monkeypatch, Instance(caption="a cat", category="cat", box=APART), paint_out)
    assert ("paint_out" in folder.made_with) == bool(item.painted_out) == paint_out

import numpy as np
import pytest

from evaluators.eye.answers import judge_pictures
from evaluators.eye.pictures import SIDES, compose, draw_alone, draw_plan, drawable, load_autoencoder, repaint
from instdiff.layout import Box, Instance, Layout, Point
from instdiff.training.draft.composer import Composer
from instdiff.world.nouns import asked_colour
from tests.evaluators.eye.conftest import SOLID, sprite


def plan(*things):
    instances = [
        Instance(caption=f"a {name}", category=name, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))
        for name, x0, y0, x1, y1 in things
    ]
    return Layout(caption="", instances=tuple(instances))


def report(eye, picture):
    return next(iter(judge_pictures(eye, [picture], {"own": 0.5}))).reports["own"]


def test_composed_pictures_are_those_of_every_second_seed(composer):
    pictures = list(compose(composer, 7_000_000, 4))
    assert [picture.seed % 2 for picture in pictures] == [0] * 4 and pictures[0].seed == 7_000_000
    for picture in pictures:
        again = composer.compose(np.random.default_rng(picture.seed))
        assert np.array_equal(np.asarray(picture.known.image), again.image)
        assert [thing.box for thing in picture.known.layout.instances] == [thing.box for thing in again.instances]
        assert picture.known.present == {thing.category for thing in again.instances} != set()


def test_a_plan_is_drawn_as_it_is(composer, eyes):
    layout = plan(("zebra", 0.1, 0.1, 0.4, 0.5), ("clock", 0.5, 0.4, 0.9, 0.95))
    assert report(eyes["sharp"], draw_plan(layout, composer, 0)).verified
    swapped = draw_plan(layout, composer, 0, swapped=True)
    verdicts = report(eyes["sharp"], swapped).verdicts
    assert [verdict.kind.value for verdict in verdicts].count("found") == 1
    assert verdicts[swapped.changed].kind.value == "missing"
    differs = (np.asarray(swapped.image) != np.asarray(draw_plan(layout, composer, 0).image)).any(axis=-1)
    box = layout.instances[swapped.changed].box
    y, x = differs.nonzero()
    assert box.x0 - 0.01 <= x.min() / composer.size and x.max() / composer.size <= box.x1 + 0.01
    assert box.y0 - 0.01 <= y.min() / composer.size and y.max() / composer.size <= box.y1 + 0.01


def test_the_asked_colour_is_painted():
    cups = Composer({"cup": [sprite("cup", (60, 90, 210))], "tv": [sprite("tv", (60, 90, 210))]})
    instance = Instance(caption="a red cup", category="cup", box=Box(x0=0.2, y0=0.2, x1=0.8, y1=0.8))
    red, _, blue = np.asarray(draw_plan(Layout(caption="", instances=(instance,)), cups, 0).image)[128, 128].astype(int)
    assert red > 2 * blue


def test_what_can_be_drawn(composer):
    assert drawable(plan(("zebra", 0.1, 0.1, 0.4, 0.5)), composer)
    assert not drawable(plan(("zebra", 0.1, 0.1, 0.4, 0.5), ("unicorn", 0.1, 0.1, 0.4, 0.5)), composer)
    assert not drawable(plan(), composer)
    assert not drawable(Layout(caption="", instances=(Instance(caption="zebra", point=Point(x=0.5, y=0.5)),)), composer)


def test_every_category_alone(composer, eyes):
    pictures = list(draw_alone(composer, composer.names, 3))
    assert [picture.layout.instances[0].category for picture in pictures] == [
        n for n in sorted(SOLID) for _ in range(3)
    ]
    for picture in pictures:
        box = picture.layout.instances[0].box
        assert box.width / box.height == pytest.approx(60 / 40) and SIDES[0] <= box.width <= SIDES[1]
        assert report(eyes["sharp"], picture).verified
    cups = Composer({"cup": [sprite("cup", (60, 90, 210))]})
    coloured = [asked_colour(picture.layout.instances[0].caption) for picture in draw_alone(cups, ["cup"], 4)]
    assert [colour is not None for colour in coloured] == [False, True] * 2


def test_the_painters_flaws_are_added(composer):
    autoencoder = load_autoencoder()
    picture = next(compose(composer, 7_000_000, 1))
    first, again = (np.asarray(repaint(picture, autoencoder).image, dtype=float) for _ in range(2))
    difference = np.abs(first - np.asarray(picture.known.image, dtype=float)).mean()
    assert np.array_equal(first, again) and 1 < difference < 40

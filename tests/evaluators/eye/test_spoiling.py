import numpy as np
import pytest

from evaluators.eye.answers import Outcome, judge_pictures
from evaluators.eye.spoiling import KINDS, Spoiler
from evaluators.report import VerdictKind
from instdiff.training.draft.catalogue import COLOURS
from instdiff.training.draft.composer import Composer
from tests.evaluators.eye.conftest import sprite

THINGS = (("zebra", 0.1, 0.1, 0.2, 0.2), ("clock", 0.6, 0.5, 0.25, 0.3))


def told(eye, picture):
    """What a sharp eye says of a picture."""
    return next(iter(judge_pictures(eye, [picture], {"own": eye.found_score}))).reports["own"]


def test_a_picture_that_is_not_spoiled_is_verified(scene, eyes):
    assert told(eyes["sharp"], scene(*THINGS).known).verified


@pytest.mark.parametrize("kind", ["removed", "swapped", "swapped for the most similar", "moved by half"])
@pytest.mark.parametrize("seed", range(4))
def test_one_thing_is_not_as_planned_and_the_rest_is(scene, eyes, composer, kind, seed):
    picture = scene(*THINGS, seed=seed)
    spoiled = Spoiler(composer, {"zebra": "kite", "clock": "kite"}).spoil(kind, picture)
    report = told(eyes["sharp"], spoiled)
    assert spoiled.spoiled == kind and spoiled.layout == picture.known.layout
    wrong = [verdict.instance for verdict in report.verdicts if verdict.kind is not VerdictKind.FOUND]
    assert wrong == [spoiled.changed]
    assert Outcome.of(spoiled, report)[3:] == (False, 0, False, None)
    gone = picture.known.layout.instances[spoiled.changed].category
    assert (gone in spoiled.present) == (kind == "moved by half")
    assert ("kite" in spoiled.present) >= (kind == "swapped for the most similar")


def test_the_second_one_is_told(scene, eyes, composer):
    spoiled = Spoiler(composer, {}).spoil("drawn twice", scene(*THINGS))
    report = told(eyes["sharp"], spoiled)
    assert report.verified and [extra.box.iou(spoiled.extra) > 0.9 for extra in report.extras] == [True]
    assert Outcome.of(spoiled, report)[3:] == (True, 1, None, True)


def test_another_colour_than_the_caption_says(scene):
    cups = Composer({"cup": [sprite("cup", (60, 90, 210))]})
    picture = scene(("cup", 0.3, 0.3, 0.4, 0.4), drawn_by=cups, colour="red")
    assert "red" in picture.known.layout.instances[0].caption
    spoiled = Spoiler(cups, {}).spoil("recoloured", picture)
    distance = [np.abs(np.asarray(spoiled.image)[128, 128] - np.array(rgb, float)).sum() for rgb in COLOURS.values()]
    assert list(COLOURS)[int(np.argmin(distance))] != "red" and min(distance) < 60
    plain = scene(("cup", 0.3, 0.3, 0.4, 0.4), drawn_by=cups)
    assert Spoiler(cups, {}).spoil("recoloured", plain) is None  # no colour is asked for


def test_what_cannot_be_spoiled(scene, composer):
    whole = scene(("zebra", 0.0, 0.0, 1.0, 1.0))
    for kind in ("swapped for the most similar", "recoloured", "moved by half", "drawn twice"):
        assert Spoiler(composer, {}).spoil(kind, whole) is None
    doubles = scene(("zebra", 0.1, 0.1, 0.4, 0.4), ("zebra", 0.24, 0.18, 0.4, 0.4))
    assert all(Spoiler(composer, {"zebra": "kite"}).spoil(kind, doubles) is None for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_picture_is_spoiled_in_the_same_way(scene, composer, kind):
    pair = [Spoiler(composer, {"zebra": "kite"}).spoil(kind, scene(*THINGS)) for _ in range(2)]
    if kind == "recoloured":
        assert pair == [None, None]
    else:
        assert np.array_equal(*(np.asarray(spoiled.image) for spoiled in pair))
        assert not np.array_equal(np.asarray(pair[0].image), np.asarray(scene(*THINGS).known.image))

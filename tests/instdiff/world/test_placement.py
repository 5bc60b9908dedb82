from typing import NamedTuple

import pytest

from instdiff.layout import Box, Instance, Layout, Point
from instdiff.world import knowledge
from instdiff.world.placement import SUNK, USUAL_SURFACE, box_of, carrier, frame, loads, scale, surface, surface_share
from instdiff.world.relations import broken_relations_in
from instdiff.world.scene import Relation, Scene, SceneObject


class Placed(NamedTuple):
    layout: Layout
    scene: Scene | None = None
    ids: tuple[str, ...] = ()


def placed(*instances: Instance) -> Placed:
    return Placed(Layout(caption="a room", instances=instances))


TABLE = Instance(caption="a table", category="table", box=Box(x0=0.2, y0=0.5, x1=0.8, y1=0.9))
CUP = Instance(caption="a cup", category="cup", box=Box(x0=0.4, y0=0.44, x1=0.5, y1=0.52))
POINT = Instance(caption="a dog", category="dog", point=Point(x=0.5, y=0.5))


def test_a_bare_point_has_no_box_and_no_scale():
    plan = placed(TABLE, POINT)
    assert box_of(plan, 0) == TABLE.box
    assert scale(plan, 1) is None and carrier(plan, 1) is None
    with pytest.raises(ValueError, match="instance 1 has no extent"):
        box_of(plan, 1)


def test_what_rests_on_a_table_is_its_load():
    plan = placed(TABLE, CUP, POINT)
    assert (carrier(plan, 1), loads(plan, 0), loads(plan, 1)) == (0, [1], [])
    share = surface_share(knowledge.things()["table"])
    assert surface(plan, 0) == pytest.approx(0.9 - share * 0.4 + SUNK)


def test_where_things_rest_on_what_carries_none():
    bare = next(known for known in knowledge.things().values() if known.surface is None)
    assert (surface_share(None), surface_share(bare)) == (1.0, USUAL_SURFACE)


@pytest.mark.parametrize("where", [(0.5, 0.5), (-0.2, 1.4), (1.3, 0.0)])
@pytest.mark.parametrize("size", [(0.1, 0.2), (1.5, 0.3), (0.2, 2.0)])
def test_a_framed_box_stays_on_the_picture(where, size):
    box = frame(*where, *size)
    assert 0.01 <= box.x0 < box.x1 <= 0.99 + 1e-9 and 0 <= box.y0 < box.y1 <= 0.99
    if max(size) < 0.98:
        assert (box.width, box.height) == pytest.approx(size)


def test_without_a_scene_no_relation_is_broken():
    assert broken_relations_in(placed(TABLE, CUP)) == []


@pytest.mark.parametrize(
    ("predicate", "at"),
    [("worn by", (0.45, 0.28, 0.55, 0.38)), ("held by", (0.6, 0.5, 0.7, 0.6)), ("in", TABLE.box.xyxy)],
)
def test_what_is_borne_goes_with_its_bearer(predicate, at):
    person = Instance(caption="a person", category="person", box=Box(x0=0.4, y0=0.3, x1=0.65, y1=0.9))
    bearer = TABLE if predicate == "in" else person
    item = Instance(caption="a hat", category="hat", box=Box(x0=at[0], y0=at[1], x1=at[2], y1=at[3]))
    objects = (SceneObject(id="a", category=bearer.category), SceneObject(id="b", category="hat"))
    scene = Scene(caption="x", objects=objects, relations=(Relation(subject="b", predicate=predicate, object="a"),))
    plan = Placed(Layout(caption="x", instances=(bearer, item)), scene, ("a", "b"))
    assert (carrier(plan, 1), loads(plan, 0)) == (0, [1])
    assert carrier(Placed(plan.layout.with_instances((bearer, CUP)), scene, ("a", "b")), 1) in (None, 0)

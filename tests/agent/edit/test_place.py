import pytest

from agent.edit.editable_plan import Sheet
from agent.edit.place import place
from agent.planners.plan import Plan
from instdiff.layout import Box, Instance, Layout
from instdiff.world.relations import slack
from instdiff.world.scene import Relation, SceneObject

PERSON = Instance(caption="a man", category="person", box=Box(x0=0.4, y0=0.2, x1=0.65, y1=0.9))
BOWL = Instance(caption="a bowl", category="bowl", box=Box(x0=0.1, y0=0.6, x1=0.35, y1=0.8))


@pytest.mark.parametrize(
    ("category", "predicate", "index"), [("hat", "worn by", 0), ("umbrella", "held by", 0), ("fish", "in", 1)]
)
def test_a_new_thing_is_put_on_in_the_hand_or_inside(category, predicate, index):
    sheet = Sheet(Plan(layout=Layout(caption="a man and a bowl", instances=(PERSON, BOWL)), planner="none"))
    target = sheet.order[index]
    item = SceneObject(id="new", category=category)
    relation = Relation(subject="new", predicate=predicate, object=target)
    assert slack(relation.predicate, place(sheet, item, [relation]), sheet.box(target)) > 0

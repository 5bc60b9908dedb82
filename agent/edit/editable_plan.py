"""A plan that is being edited: its instances by id, their scene, and the captions."""

from __future__ import annotations

from agent.edit import captions as edit_words
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES, Box, Instance, Point, Scribble
from instdiff.world import nouns, placement
from instdiff.world.scene import PICTURE, Relation, Scene, SceneObject

POINT_SIDE = 0.2  # a thing given by a bare point is handled as a box of this side around it


class Sheet:
    """Instances and objects under one id each; ``order`` is the order of the layout, from far to near.

    ``settle`` holds the ids that were placed by the edit, ``last`` what "it" stands for, ``numbers`` the number of each
    instance in the table of the plan before the edit.
    """

    def __init__(self, plan: Plan):
        self.start = plan
        scene = plan.scene if plan.scene and len(plan.ids) == len(plan.layout.instances) else None
        self.order = list(
            plan.ids if scene else (f"{_category(plan, i)}-{i + 1}" for i in range(len(plan.layout.instances)))
        )
        self.instances = dict(zip(self.order, plan.layout.instances, strict=True))
        objects = scene.objects if scene else [self._object(plan, i) for i in range(len(self.order))]
        self.objects: dict[str, SceneObject] = {item.id: item for item in objects if item.id in self.order}
        shown = set(self.order)
        self.relations = [r for r in scene.relations if {r.subject, r.object} <= shown | {PICTURE}] if scene else []
        self.absent = list(scene.absent if scene else ())
        self.setting = scene.setting if scene else ""
        self.caption = plan.layout.caption
        self.negative = [part for part in plan.layout.negative_caption.split(", ") if part]
        self.numbers = {number: name for number, name in enumerate(self.order, 1)}
        self.settle: set[str] = set()
        self.last: list[str] = []
        self.notes: list[str] = []

    def _object(self, plan: Plan, index: int) -> SceneObject:
        width_m, height_m = placement.metres(plan, index)
        caption = plan.layout.instances[index].caption
        values = {
            "id": self.order[index],
            "category": _category(plan, index),
            "caption": caption,
            "width_m": width_m,
            "height_m": height_m,
        }
        return SceneObject.parse(values, "edit")

    @property
    def aspect(self) -> float:
        return self.start.layout.width / self.start.layout.height

    def plan(self) -> Plan:
        """The plan as it is now."""
        instances = tuple(self.instances[name] for name in self.order)
        changes = {"caption": self.caption, "negative_caption": ", ".join(self.negative), "instances": instances}
        scene = Scene(
            caption=self.caption,
            setting=self.setting,
            objects=tuple(self.objects[name] for name in self.order),
            relations=tuple(self.relations),
            absent=tuple(self.absent),
        )
        layout = self.start.layout.model_copy(update=changes)
        return self.start.model_copy(update={"layout": layout, "scene": scene, "ids": tuple(self.order)})

    def index(self, name: str) -> int:
        return self.order.index(name)

    def box(self, name: str) -> Box:
        """Where a thing is; for a bare point, a box around it."""
        instance = self.instances[name]
        if instance.extent:
            return instance.extent
        points = (
            [instance.point]
            if instance.point
            else list(instance.scribble.points)
            if instance.scribble
            else [Point(x=0.5, y=0.5)]
        )
        return placement.framed(points[0].x, points[0].y + POINT_SIDE / 2, POINT_SIDE, POINT_SIDE)

    def put(self, name: str, box: Box) -> None:
        """Move a thing: what is given as a point stays one, a scribble moves along, a mask becomes its box."""
        old = self.box(name)
        instance = self.instances[name]

        def place(p):
            return Point(  # noqa: E731
                x=min(max(box.x0 + (p.x - old.x0) / old.width * box.width, 0.0), 1.0),
                y=min(max(box.y0 + (p.y - old.y0) / old.height * box.height, 0.0), 1.0),
            )

        self.instances[name] = Instance(
            caption=instance.caption,
            category=instance.category,
            box=box if instance.box or instance.mask or not (instance.point or instance.scribble) else None,
            point=instance.point and place(instance.point),
            scribble=instance.scribble and Scribble(points=tuple(place(p) for p in instance.scribble.points)),
        )

    def describe(self, name: str, caption: str) -> None:
        """Give a thing another caption."""
        self.instances[name] = self.instances[name].model_copy(update={"caption": caption})
        self.objects[name] = self.objects[name].model_copy(update={"caption": caption[:2000]})

    def new_id(self, category: str) -> str:
        if len(self.order) >= MAX_INSTANCES:
            raise BadInput(
                "edit",
                f"the layout has {len(self.order)} things, and there is room for {MAX_INSTANCES}; remove one first",
            )
        number = 1
        while f"{category[:80]}-{number}" in self.objects:
            number += 1
        return f"{category[:80]}-{number}"

    def add(self, item: SceneObject, box: Box, behind: str | None = None) -> None:
        """A new thing, in front of the others or right behind one of them."""
        self.objects[item.id] = item
        self.instances[item.id] = Instance(caption=item.caption, category=item.category, box=box)
        self.order.insert(self.index(behind) if behind else len(self.order), item.id)
        self.settle.add(item.id)
        self.absent = [name for name in self.absent if name != item.category]
        gone = {item.category, nouns.plural_of(item.category)}
        self.negative = [name for name in self.negative if name not in gone]

    def remove(self, name: str) -> None:
        """A thing is gone, with its relations; if it was the last of its kind, no other may appear."""
        category = self.objects[name].category
        self.order.remove(name)
        del self.instances[name], self.objects[name]
        self.relations = [r for r in self.relations if name not in (r.subject, r.object)]
        self.settle.discard(name)
        self.last = [other for other in self.last if other != name]
        if all(item.category != category for item in self.objects.values()):
            self.absent += [category] if category not in self.absent else []
            self.negative += [category] if category not in self.negative else []

    def relate(self, relations: list[Relation], names: set[str]) -> None:
        """Add relations, and drop the ones of these things that do not hold any more."""
        self.forget([r for r in placement.broken_in(self.plan()) if {r.subject, r.object} & names])
        self.relations += [r for r in relations if r not in self.relations]

    def forget(self, relations: list[Relation]) -> None:
        """Drop relations, from the scene's caption as well."""
        self.relations = [r for r in self.relations if r not in relations]

        def called(name):
            return (self.instances[name].caption, self.objects[name].category)

        for r in relations:
            target = None if r.object == PICTURE else called(r.object)
            self.caption = edit_words.unsaid(self.caption, r.predicate, called(r.subject), target)

    def carried(self, name: str) -> list[str]:
        """What rests on a thing, directly or on something in between."""
        return [self.order[i] for i in placement.carried(self.plan(), self.index(name))]


def _category(plan: Plan, index: int) -> str:
    return nouns.category_of(plan.layout.instances[index].name)[:80].strip() or "thing"

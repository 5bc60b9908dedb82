"""What is in the world, before anything is put on a picture: objects with real sizes, distances and relations."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from instdiff.layout import MAX_INSTANCES, Layout
from instdiff.values import Value
from instdiff.world import knowledge
from instdiff.world.predicates import Predicate

PICTURE = "picture"
ALOFT = ("sky", "wall", "ceiling")  # supports under which there is room
HANGING = (*ALOFT, "air")  # supports that keep a thing off the ground

Metres = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class Relation(Value):
    """``subject`` and ``object`` are object ids; ``object`` is `PICTURE` for a part of the picture.

    "between a and b" is two relations: right of the one, left of the other.
    """

    subject: str
    predicate: Predicate
    object: str = PICTURE


class SceneObject(Value):
    """One thing in the world.

    What is left out comes from `instdiff.world.knowledge`: the real size in metres by category, the usual support.
    Without ``distance_m`` the camera finds a natural distance; ``support`` "air" is for what floats because the words
    ask for it. ``chosen`` is true for what the words do not name, of which the looks are open too.
    """

    id: str = Field(min_length=1, max_length=100)
    category: str = Field(min_length=1, max_length=200)
    caption: str = Field(default="", max_length=2000)
    width_m: Metres
    height_m: Metres
    distance_m: Metres | None = None
    support: Literal["floor", "ground", "water", "table", "wall", "ceiling", "sky", "air"]
    chosen: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_knowledge(cls, data: object) -> object:
        if not isinstance(data, dict) or not isinstance(data.get("category"), str):
            return data
        category = data["category"]
        width_m, height_m = knowledge.size_of(category)
        known = knowledge.thing(category)
        support = known.on[0] if known else "ground"
        usual = {"width_m": width_m, "height_m": height_m, "support": support, "caption": category}
        return usual | {key: value for key, value in data.items() if value is not None}

    @property
    def thing(self) -> knowledge.Thing | None:
        """What is known of its category."""
        return knowledge.thing(self.category)

    @property
    def longest_m(self) -> float:
        return max(self.width_m, self.height_m)

    @property
    def hangs(self) -> bool:
        """True for what is off the ground: in the sky, on a wall, under a ceiling, or in the air because words ask."""
        return self.support in HANGING

    @property
    def is_aloft(self) -> bool:
        """True for what hangs or flies by nature; not for what is in the air because the words ask for it."""
        return self.support in ALOFT

    @property
    def rests_on_tables(self) -> bool:
        """True for what is usually on a table or the like: a cup."""
        return self.thing is not None and self.thing.on[0] == "table"

    @property
    def is_backdrop(self) -> bool:
        """True for what stands on the horizon: a mountain."""
        known = self.thing
        is_distant = known is not None and known.apparent is not None and known.on[0] != "sky"
        return is_distant and self.support in ("ground", "floor", "water")

    @property
    def is_far(self) -> bool:
        """True for what is so far away that its real size does not show."""
        return self.is_backdrop or (
            self.support == "sky" and self.thing is not None and self.thing.apparent is not None
        )

    @property
    def is_flat(self) -> bool:
        """True for what lies flat on the ground: a rug."""
        return self.thing is not None and self.thing.depth_m is not None

    @property
    def size_m(self) -> float:
        """The side of a square as large as the object is from its usual side; of what lies flat, from above."""
        known = self.thing
        length_m = known.depth_m * self.width_m / known.width_m if known and known.depth_m else self.height_m
        return (self.width_m * length_m) ** 0.5


class Scene(Value):
    """Objects, how they lie to each other, and what must not appear.

    ``setting`` is the name of a setting of `instdiff.world.knowledge`, or empty.
    """

    caption: str = Field(max_length=8000)
    setting: str = ""
    objects: tuple[SceneObject, ...] = Field(default=(), max_length=MAX_INSTANCES)
    relations: tuple[Relation, ...] = ()
    absent: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> Scene:
        ids = [item.id for item in self.objects]
        if len(set(ids)) < len(ids) or PICTURE in ids:
            raise ValueError(f'object ids must differ, and none may be "{PICTURE}"; got {", ".join(ids)}')
        for relation in self.relations:
            expected = {PICTURE} if relation.predicate.is_place else set(ids)
            if relation.subject not in ids or relation.object not in expected or relation.subject == relation.object:
                raise ValueError(
                    f'"{relation.subject} {relation.predicate} {relation.object}" does not fit; the objects are'
                    f" {', '.join(ids)}"
                )
        return self


class PlacedScene(Protocol):
    """A layout and, where it was projected from one, its scene: ``ids`` names the object behind each instance."""

    @property
    def layout(self) -> Layout: ...
    @property
    def scene(self) -> Scene | None: ...
    @property
    def ids(self) -> tuple[str, ...]: ...

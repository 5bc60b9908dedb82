"""What the description itself says of how the things of a scene lie, where a model's relations are lost or unclear."""

from __future__ import annotations

from agent.planners.chat.relations import INVERSE
from agent.planners.english.reader import read_prompt
from instdiff.errors import BadInput
from instdiff.world.predicates import Predicate
from instdiff.world.scene import PICTURE, Relation, Scene


def with_relations(scene: Scene, stated: list[Relation]) -> Scene:
    """The scene with these relations in the place of its own that are about the same."""
    settled = {about(relation) for relation in stated}
    own = [relation for relation in scene.relations if about(relation) not in settled]
    return scene.model_copy(update={"relations": (*own, *stated)})


def about(relation: Relation) -> tuple[Predicate, frozenset[str]]:
    """What a relation is about, whichever way it puts it: "a left of b", "b left of a" and "b right of a" are one."""
    return INVERSE.get(relation.predicate, relation.predicate), frozenset((relation.subject, relation.object))


def stated_relations(scene: Scene, description: str) -> list[Relation]:
    """The relations that the description states between things of the scene.

    Only what is named once and there once is meant. A description that cannot be read states nothing, and what follows
    a blank line in it tells of an earlier plan.
    """
    try:
        reading = read_prompt(description.split("\n\n")[0])
    except BadInput:
        return []
    categories = [group.category for group in reading.groups]
    ids = {
        index: [item.id for item in scene.objects if item.category == group.category]
        for index, group in enumerate(reading.groups)
        if group.count == 1 and categories.count(group.category) == 1
    }
    one = {index: found[0] for index, found in ids.items() if len(found) == 1}
    relations = [
        Relation(subject=one[subject], predicate=predicate, object=one[target])
        for subject, predicate, target in reading.relations
        if subject in one and target in one
    ]
    places = [Relation(subject=one[i], predicate=place, object=PICTURE) for i, place in reading.places if i in one]
    return [*relations, *places]

"""Which things come together on pictures of scenes, so that each class comes about as often as any other.

Drawn by what is usual alone, of a dataset of all scenes one class had 200 times as many things as another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from instdiff.world import knowledge

INDOORS = ("table", "floor", "wall", "ceiling")  # where what is usual nowhere stands or hangs


@dataclass(frozen=True)
class Company:
    """The things of each kind of scene.

    Attributes:
        by_scene: names of things, by the name of a kind of scene.
    """

    by_scene: dict[str, tuple[str, ...]]

    @property
    def things(self) -> tuple[str, ...]:
        """All, each once."""
        return tuple(sorted({name for names in self.by_scene.values() for name in names}))

    def scenes_of(self, thing: str) -> list[str]:
        """The kinds of scenes in which a thing is."""
        return [scene for scene, names in self.by_scene.items() if thing in names]

    def draw(self, scene: str, number: int, rng: Random) -> list[str]:
        """So many things of a scene; those that are in many scenes come as much less often in each."""
        names = self.by_scene[scene]
        return rng.choices(names, [1 / len(self.scenes_of(name)) for name in names], k=number)


@cache
def company_of(kinds: tuple[str, ...], things: tuple[str, ...]) -> Company:
    """What is usual in kinds of scenes, of these things (none means all), and what is usual nowhere where it may be."""
    settings = knowledge.settings()
    everywhere = {option.category for setting in settings.values() for option in setting.objects}
    homeless = [name for name in things or tuple(knowledge.things()) if name not in everywhere]
    by_scene = {}
    for kind in kinds:
        indoor = settings[kind].place == "indoor"
        fitting = [name for name in homeless if (knowledge.things()[name].on[0] in INDOORS) == indoor]
        by_scene[kind] = (*usual_things(settings[kind], things), *fitting)
    return Company({kind: names for kind, names in by_scene.items() if names})


def usual_things(setting: knowledge.Setting, things: tuple[str, ...]) -> list[str]:
    """What is usually found in a setting, of these things."""
    return [option.category for option in setting.objects if not things or option.category in things]

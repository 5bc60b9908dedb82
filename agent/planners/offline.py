"""The planner that needs no network and no model: grammar, knowledge of the world, and a camera."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from agent.planners.grammar.parts import Group, Reading
from agent.planners.grammar.reader import read_prompt
from agent.planners.grammar.vocabulary import ASKING, BE, FUNCTION, META, STYLE
from agent.planners.plan import Plan, Planner
from agent.planners.scene_builder import any_setting, cap, natural, objects_of, relations_of, settle
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES
from instdiff.world import knowledge, nouns
from instdiff.world.camera import project
from instdiff.world.scene import Scene, SceneObject

if TYPE_CHECKING:
    from evaluators.report import Report

MAX_PROMPT = 2000


class OfflinePlanner(Planner):
    """Reads a prompt with a grammar and lays it out with `instdiff.world.camera`; the same seed, the same plan."""

    name = "offline"

    def check(self, prompt: str) -> None:
        """Raise BadInput for a prompt that cannot be read: empty, too long, or naming nothing that can be there."""
        scene_of(prompt, Random(0))

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        """A layout of (width, height) pixels for the prompt.

        Raises:
            BadInput: the prompt is empty or longer than 2000 characters.
        """
        scene, notes = scene_of(prompt, Random(seed))
        layout, ids, relaxed = project(scene, size, Random(seed))
        return Plan(layout=layout, planner=self.name, notes=(*notes, *relaxed), scene=scene, ids=ids)

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        """A better plan after a look at the picture; see `agent.planners.revision`."""
        from agent.planners.revision import revised

        return revised(plan, report, seed).model_copy(update={"planner": self.name})


def scene_of(prompt: str, rng: Random) -> tuple[Scene, list[str]]:
    """The scene that a prompt describes, and notes on what was decided freely."""
    _check_length(prompt)
    reading = read_prompt(prompt)
    notes = []
    setting = knowledge.settings().get(reading.setting)
    if not reading.groups and setting is None:
        setting = _without_subject(reading, prompt, notes, rng)
    if cap(reading.groups):
        notes.append(
            f"The prompt names more things than the {MAX_INSTANCES} a layout holds; the largest groups were cut."
        )
    objects, ids = objects_of(reading, setting)
    relations = relations_of(reading, ids, objects, rng)
    notes += _guesses(reading, objects)
    if setting and (reading.setting_is_subject or not objects) and not (reading.is_complete and objects):
        added = natural(setting, reading.setting_adjectives, objects, reading.absent, rng)
        objects += added
        notes.append(
            f"The things of the {setting.name} were chosen freely:"
            f" {', '.join(item.category for item in added) or 'none'}."
        )
    relations += settle(objects, relations)
    caption = reading.caption if len(reading.caption) > 1 else prompt.strip()
    return (
        Scene(
            caption=caption,
            setting=setting.name if setting else "",
            objects=tuple(objects),
            relations=tuple(relations),
            absent=tuple(reading.absent),
        ),
        notes,
    )


def _check_length(prompt: str) -> None:
    if not prompt.strip():
        raise BadInput("prompt", "the prompt is empty; say what the picture shows, such as 'a red car next to a tree'")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in prompt):
        raise BadInput("prompt", "the prompt is not valid Unicode text")
    if len(prompt) > MAX_PROMPT:
        raise BadInput("prompt", f"the prompt has {len(prompt)} characters; the planner takes up to {MAX_PROMPT}")


def _without_subject(reading: Reading, prompt: str, notes: list[str], rng: Random) -> knowledge.Setting | None:
    """A setting for a prompt in which nothing known is named, or one thing made of its words, added to the reading."""
    if reading.absent and reading.asks_for_picture:
        setting = any_setting(reading.absent, rng)
        reading.setting_is_subject = True
        notes.append(f"The prompt says only what is absent; a {setting.name} was chosen freely.")
        return setting
    words = _content(reading.caption)
    if not words or reading.absent:
        raise BadInput(
            "prompt",
            f"{prompt.strip()[:60]!r} names nothing to paint; say what the picture shows, such as 'a cat on a couch'",
        )
    reading.groups.append(Group(words, words, 1))
    notes.append(f'No known thing was found in the prompt; "{words}" is planned as one thing.')
    return None


def _guesses(reading: Reading, objects: list[SceneObject]) -> list[str]:
    """A note on the things of which no size is known."""
    unknown = {
        group.category for group in reading.groups if not group.is_known and group.category not in knowledge.things()
    }
    named = sorted(unknown & {item.category for item in objects})
    return [f"Of {', '.join(named)} no size is known; it was guessed."] if named else []


def _content(caption: str) -> str:
    """The words of a caption that could name something, at most 60 characters."""
    words = [word.strip(".,;:!?\"'()-") for word in caption.split()]
    words = [word for word in words if any(map(str.isalnum, word)) and word.lower() not in FUNCTION | nouns.ARTICLES | BE]
    telling = [word for word in words if word.lower() not in ASKING | META | STYLE]
    return " ".join(telling or words)[:60].strip()

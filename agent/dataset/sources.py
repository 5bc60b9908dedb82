"""What the pictures of a dataset are of. Candidate ``index`` depends on its index (and the seed) alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol, overload

from agent.dataset.company import company_of, usual_things
from agent.request import read_prompts
from instdiff.errors import BadInput
from instdiff.formats import layout_to_json, layouts_from_coco
from instdiff.formats.coco import CocoLayouts
from instdiff.formats.coco_file import MAX_COCO_BYTES, Crowd
from instdiff.formats.files import read_bytes
from instdiff.formats.layout_sets import load_layouts
from instdiff.layout import MAX_INSTANCES, Layout
from instdiff.training.draft.catalogue import THINGS
from instdiff.world import knowledge, nouns
from instdiff.world.knowledge import BASIC_COLOURS

NUMBERS = tuple(nouns.number_word(number) for number in (2, 3, 4))
IMAGES = re.compile(rb'"images"\s*:')  # what COCO annotations have, and layouts have not
Wanted = str | Layout  # a prompt, or a layout that is painted as it is
ALL = "all"  # kinds of scenes, or colours
LIGHTS = ("at night", "at sunset")
UNLIT = ("night", "sunset", "space", "halloween", "aquarium", "coral reef", "cave")  # they have a light of their own
LIT_SHARE = 0.5  # of the varied pictures; the others are on a plain background
PEOPLE = ("woman", "man", "girl", "boy")
FIELDS = ("colour", "thing", "things", "setting", "number")


@dataclass(frozen=True)
class Prompts:
    """Prompts, over and over; each time with another seed."""

    prompts: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Prompts:
        return cls(tuple(read_prompts(path)))

    def about(self) -> dict[str, str]:
        """What the source is, for the fingerprint."""
        return {"prompts": f"{len(self.prompts)} prompts, {_hash(self.prompts)}"}

    def __len__(self) -> int:
        return len(self.prompts)

    def candidate(self, index: int, seed: int) -> Wanted:
        """A prompt, or a layout that is painted as it is."""
        return self.prompts[index % len(self.prompts)]


@dataclass(frozen=True)
class Layouts:
    """Layouts, over and over; each time with another seed. ``digest`` tells these from others."""

    layouts: Sequence[Layout]
    digest: str

    @classmethod
    def read(cls, path: Path, crowd: Crowd = "auto") -> Layouts:
        """From a folder of layouts, a layout, the JSON lines of ``python -m agent.plans``, or COCO annotations.

        Args:
            crowd: what annotations of COCO with ``iscrowd`` are, see `instdiff.formats.coco_file.CocoFile`.

        Raises:
            BadInput: there is nothing of that kind.
        """
        if path.suffix.lower() == ".json" and path.is_file():
            content = read_bytes(path, MAX_COCO_BYTES)
            if IMAGES.search(content):
                read_as = b"" if crowd == "auto" else crowd.encode()
                digest = hashlib.sha256(content + read_as).hexdigest()[:16]
                return cls._of(CocoScenes(layouts_from_coco(path, crowd)), digest, path)
        layouts = tuple(layout for layout in load_layouts(path, crowd) if layout.instances)
        return cls._of(layouts, _hash([layout_to_json(layout) for layout in layouts]), path)

    @classmethod
    def _of(cls, layouts: Sequence[Layout], digest: str, path: Path) -> Layouts:
        if not layouts:
            raise BadInput("layouts", f"{path} holds no layouts with instances")
        return cls(layouts, digest)

    def about(self) -> dict[str, str]:
        return {"layouts": f"{len(self.layouts)} layouts, {self.digest}"}

    def __len__(self) -> int:
        return len(self.layouts)

    def candidate(self, index: int, seed: int) -> Wanted:
        return self.layouts[index % len(self.layouts)]


class CocoScenes(Sequence[Layout]):
    """The layouts of an annotation file that have instances, each made when it is asked for."""

    def __init__(self, layouts: CocoLayouts):
        self._layouts = layouts
        self._places = [place for place, count in enumerate(layouts.file.counts) if count]

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Layout: ...
    @overload
    def __getitem__(self, index: slice) -> list[Layout]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self._layouts[self._places[index]][1]


@dataclass(frozen=True)
class Scenes:
    """Prompts made of what is found in kinds of scenes, each thing about as often as any other.

    Args:
        kinds: names of `knowledge.settings`.
        count: so many things a picture, from and to.
        colours: one of these for each thing that comes in colours (no person does); none leaves the colour open.
        things: only these; none means all.
        coloured: share of the things that come in colours for which one is asked.
        varied: share of the pictures at night, at sunset or on a plain background, and of the things in a texture.
    """

    kinds: tuple[str, ...]
    count: tuple[int, int] = (2, 5)
    colours: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    coloured: float = 1.0
    varied: float = 0.0

    def __post_init__(self):
        _check_names("scenes", self.kinds, knowledge.settings())
        _check_names("things", self.things, knowledge.things())
        _check_names("colours", self.colours, BASIC_COLOURS)
        if not 1 <= self.count[0] <= self.count[1] <= MAX_INSTANCES:
            given = "{}-{}".format(*self.count)
            raise BadInput("per_picture", f"{given} is no number of things from 1 to {MAX_INSTANCES}, such as 2-5")
        for kind in self.kinds:
            if not usual_things(knowledge.settings()[kind], self.things):
                raise BadInput("things", f"none of {', '.join(self.things)} is usually found in a {kind}")

    def about(self) -> dict[str, str]:
        shares = {"coloured": str(self.coloured)} if self.coloured < 1 else {}
        shares |= {"varied": str(self.varied)} if self.varied else {}
        return {"per_picture": "{}-{}".format(*self.count), **shares, **_lists(self)}

    def __len__(self) -> int:
        return 0

    def candidate(self, index: int, seed: int) -> Wanted:
        """ "a red couch, a lamp and two cats in a living room" """
        rng = Random(f"{seed} scene {index}")
        company = company_of(self.kinds, self.things)
        thing = rng.choice(company.things)
        scene = rng.choice(company.scenes_of(thing))
        names = [thing, *company.draw(scene, rng.randint(*self.count) - 1, rng)]
        rng.shuffle(names)
        words = [self.words(name, number, rng) for name, number in Counter(names).items()]
        return f"{', '.join(words[:-1])}{' and ' if words[1:] else ''}{words[-1]} {self.place(scene, rng)}"

    def place(self, scene: str, rng: Random) -> str:
        """ "in a kitchen", and of varied pictures "in a park at sunset" or "on a plain pink background" """
        phrase = knowledge.settings()[scene].phrase
        if not self.varied or rng.random() >= self.varied:
            return phrase
        if scene not in UNLIT and rng.random() < LIT_SHARE:
            return f"{phrase} {rng.choice(LIGHTS)}"
        return f"on a plain {rng.choice(tuple(BASIC_COLOURS))} background"

    def words(self, category: str, number: int, rng: Random, colour: str | None = None) -> str:
        """ "two red couches", in one of the colours, or in this one; "" is none"""
        if colour is None:
            comes_in_colours = bool(self.colours and knowledge.things()[category].colours)
            is_asked = comes_in_colours and (self.coloured == 1 or rng.random() < self.coloured)
            colour = rng.choice(self.colours) if is_asked else ""
        noun, texture = self.look(category, rng)
        looks = "".join(f"{look} " for look in (colour, texture) if look)
        if number == 1:
            return nouns.with_article(looks + noun)
        plural = nouns.plural_of(noun)
        return f"{NUMBERS[number - 2] if number - 2 < len(NUMBERS) else number} {looks}{plural}"

    def look(self, category: str, rng: Random) -> tuple[str, str]:
        """What a thing is called and its texture, "" for none: varied ones are a woman, or a striped couch."""
        textures = THINGS[category].textures if category in THINGS else ()
        may_vary = category == "person" or textures
        if not (self.varied and may_vary) or rng.random() >= self.varied:
            return category, ""
        return (rng.choice(PEOPLE), "") if category == "person" else (category, rng.choice(textures))


@dataclass(frozen=True)
class Template:
    """A prompt with gaps: ``a {colour} {thing} in a {setting}``.

    ``{setting}`` is a kind of scene, ``{thing}`` something usually found there (anything, if there is no setting),
    ``{things}`` the same in the plural, ``{number}`` two to four, ``{colour}`` a colour; each gap is filled anew. Lists
    narrow the choice; beside a ``{colour}`` are things that come in colours. "a" becomes "an" where it must.
    """

    text: str
    colours: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def __post_init__(self):
        gaps = re.findall(r"\{([^{}]*)\}", self.text)
        if not gaps:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise BadInput("template", f'"{self.text[:80]}" has no gap; there are {known}')
        _check_names("template", tuple(gaps), FIELDS)
        _check_names("scenes", self.kinds, knowledge.settings())
        _check_names("things", self.things, knowledge.things())
        _check_names("colours", self.colours, BASIC_COLOURS)

    def about(self) -> dict[str, str]:
        return {"template": self.text, **_lists(self)}

    def __len__(self) -> int:
        return 0

    def candidate(self, index: int, seed: int) -> Wanted:
        rng = Random(f"{seed} template {index}")
        kinds = [
            name for name in self.kinds or knowledge.settings() if usual_things(knowledge.settings()[name], self.things)
        ]
        setting = knowledge.settings()[rng.choice(kinds or list(knowledge.settings()))]
        anything = list(self.things or knowledge.things())

        def fill(gap: re.Match) -> str:
            if gap[1] in ("thing", "things"):
                fitting = (usual_things(setting, self.things) if "{setting}" in self.text else anything) or anything
                if "{colour}" in self.text:
                    fitting = [name for name in fitting if knowledge.things()[name].colours] or fitting
                name = rng.choice(fitting)
                return name if gap[1] == "thing" else nouns.plural_of(name)
            lists = {"colour": self.colours or BASIC_COLOURS, "number": NUMBERS, "setting": (setting.name,)}
            return rng.choice(lists[gap[1]])

        def article(match: re.Match) -> str:
            return match[1] + nouns.with_article(match[2]).split(" ")[0][1:] + " "

        return re.sub(r"\b([Aa])n? (?=(\w[\w ]*))", article, re.sub(r"\{([^{}]*)\}", fill, self.text))


class Source(Protocol):
    """What a dataset is of."""

    def about(self) -> dict[str, str]:
        """What it is, for the fingerprint."""

    def __len__(self) -> int:
        """How many different pictures it gives; 0 where there is no end to them."""

    def candidate(self, index: int, seed: int) -> Wanted:
        """What the picture of this number is of."""


def kinds_of_scenes(names: tuple[str, ...], things: tuple[str, ...]) -> tuple[str, ...]:
    """The names; of ``all`` every kind in which something of these things is usually found."""
    if names != (ALL,):
        return names
    return tuple(name for name, setting in knowledge.settings().items() if usual_things(setting, things))


def colours_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names; of ``all`` the basic colours."""
    return tuple(BASIC_COLOURS) if names == (ALL,) else names


def _lists(source: Scenes | Template) -> dict[str, str]:
    """The lists that narrow a choice; long ones by their length and hash."""
    lists = {"scenes": source.kinds, "colours": source.colours, "things": source.things}
    long = {name: f"{len(names)} names, {_hash(names)}" for name, names in lists.items() if len(names) > 20}
    return {name: long.get(name, ",".join(names)) for name, names in lists.items() if names}


def _check_names(field: str, names: tuple[str, ...], known) -> None:
    for name in names:
        if name not in known:
            choice = ", ".join(list(known)[:40]) + (", ..." if len(known) > 40 else "")
            raise BadInput(field, f'"{name[:60]}" is not known; choose from {choice}')


def _hash(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]

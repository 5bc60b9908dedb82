"""So many verified things of each class, or of each pair of class and colour: painted until each has its number.

Each batch is about one cell of the quota. Which cell that is depends on the batch's number alone, so that a killed
command goes on where it was; a batch whose cell has its number, or its tries, is not painted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from random import Random

from agent.dataset.folder import Folder
from agent.dataset.sources import Scenes, Wanted, usual_things
from agent.dataset.tally import Counts, Tally
from instdiff.world import knowledge


@dataclass(frozen=True)
class QuotaScenes:
    """Prompts about one cell after the other, a batch each: its thing, and what is usually found beside it.

    Args:
        scenes: kinds of scenes, things, colours and how many things a picture has.
        batch: candidates painted at once.
    """

    scenes: Scenes
    batch: int

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(class, colour) of each cell; no colour where none is asked for, or the thing comes in none."""
        things = self.scenes.things or tuple(knowledge.things())
        colours = {name: self.scenes.colours if knowledge.things()[name].colours else () for name in things}
        return [(name, colour) for name in things for colour in colours[name] or ("",)]

    def about(self) -> dict[str, str]:
        """What the source is, for the fingerprint; how many are wanted may change."""
        return {"quota": "pair" if self.scenes.colours else "class", **self.scenes.about()}

    def __len__(self) -> int:
        return 0

    def candidate(self, index: int, seed: int) -> Wanted:
        """ "a red couch, a lamp and two cats in a living room", where the couch is what the batch is about"""
        cells = self.cells
        thing, colour = cells[index // self.batch % len(cells)]
        rng = Random(f"{seed} quota {index}")
        settings = [knowledge.settings()[kind] for kind in self.scenes.kinds]
        fitting = [setting for setting in settings if thing in usual_things(setting, self.scenes.things)]
        setting = rng.choice(fitting) if fitting else None
        company = usual_things(setting, self.scenes.things) if setting else [thing]
        more = rng.randint(*self.scenes.count) - 1
        others = [rng.choice(company) for _ in range(more)]
        named = {thing: 1}
        for name in others:
            named[name] = named.get(name, 0) + 1
        words = [
            self.scenes.words(name, number, rng, colour if name == thing else None) for name, number in named.items()
        ]
        listed = f"{', '.join(words[:-1])}{' and ' if words[1:] else ''}{words[-1]}"
        return f"{listed} {setting.phrase}" if setting else listed


@dataclass
class Quota:
    """How much of each cell is wanted, and what is there.

    Args:
        number: of verified things in each cell.
        tries: candidates for each of them, at most.
    """

    folder: Folder
    source: QuotaScenes
    number: int
    tries: float

    def __post_init__(self):
        self.tally = Tally(self.folder)
        self.cells = self.source.cells

    @property
    def batches(self) -> int:
        """How many batches there are at most: so many for each cell."""
        return len(self.cells) * ceil(self.number * max(self.tries, 1.0) / self.source.batch)

    def needs(self, batch: int) -> bool:
        """True if the cell of a batch does not have its number yet."""
        self.tally.update()
        return self.counts(self.cells[batch % len(self.cells)]).passed < self.number

    def counts(self, cell: tuple[str, str]) -> Counts:
        """What was planned, painted and passed of a cell, at the last look."""
        name, colour = cell
        found = self.tally.by_pair.get(cell) if colour else self.tally.by_class.get(name)
        return found or Counts()

    def below(self) -> list[str]:
        """The cells that lack something, with what they have: "red cup 3 of 10"."""
        self.tally.update()
        passed = {cell: self.counts(cell).passed for cell in self.cells}
        return [
            f"{colour} {name}".strip() + f" {passed[name, colour]} of {self.number}"
            for name, colour in self.cells
            if passed[name, colour] < self.number
        ]

    @property
    def done(self) -> int:
        """How many of what is wanted is there."""
        self.tally.update()
        return sum(min(self.counts(cell).passed, self.number) for cell in self.cells)

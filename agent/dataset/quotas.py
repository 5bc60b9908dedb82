"""So many verified things of each class, in each of some colours and sizes: painted until each has its number.

Each batch is about one cell of the quota. Which cell that is depends on the batch's number alone, so that a killed
command goes on where it was; a batch whose cell has its number, or its tries, is not painted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import NamedTuple

from agent.dataset.company import company_of
from agent.dataset.folder import Folder
from agent.dataset.sizing import first_named, resized
from agent.dataset.sources import Scenes, Wanted
from agent.dataset.tally import SIZES, Counts, Tally
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.world import knowledge


class Cell(NamedTuple):
    """What is wanted of: a class, and its colour and size, each "" where any will do."""

    name: str
    colour: str = ""
    size: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.size, self.colour, self.name)))


@dataclass(frozen=True)
class QuotaScenes:
    """Prompts about one cell after the other, a batch each: its thing, and what is usually found beside it.

    Args:
        scenes: kinds of scenes, things, colours and how many things a picture has.
        batch: candidates painted at once.
        sizes: each thing in each of these; none leaves the size open.
    """

    scenes: Scenes
    batch: int
    sizes: tuple[str, ...] = ()

    def __post_init__(self):
        for size in self.sizes:
            if size not in SIZES:
                raise BadInput("sizes", f'"{size[:40]}" is not known; choose from {", ".join(SIZES)}')

    @property
    def cells(self) -> list[Cell]:
        """No colour where none is asked for, or the thing comes in none."""
        things = self.scenes.things or tuple(knowledge.things())
        colours = {name: self.scenes.colours if knowledge.things()[name].colours else () for name in things}
        pairs = [(name, colour) for name in things for colour in colours[name] or ("",)]
        return [Cell(*pair, size) for pair in pairs for size in self.sizes or ("",)]

    def about(self) -> dict[str, str]:
        """What the source is, for the fingerprint; how many are wanted may change."""
        sizes = {"sizes": ",".join(self.sizes)} if self.sizes else {}
        return {"quota": "pair" if self.scenes.colours else "class", **sizes, **self.scenes.about()}

    def __len__(self) -> int:
        return 0

    def candidate(self, index: int, seed: int) -> Wanted:
        """ "a red couch, a lamp and two cats in a living room", where the couch is what the batch is about"""
        thing, colour, _ = self._cell(index)
        rng = Random(f"{seed} quota {index}")
        company = company_of(self.scenes.kinds, self.scenes.things)
        fitting = company.scenes_of(thing)
        scene = rng.choice(fitting) if fitting else None
        more = rng.randint(*self.scenes.count) - 1
        others = company.draw(scene, more, rng) if scene else [thing] * more
        words = [
            self.scenes.words(name, number, rng, colour if name == thing else None)
            for name, number in Counter([thing, *others]).items()
        ]
        listed = f"{', '.join(words[:-1])}{' and ' if words[1:] else ''}{words[-1]}"
        return f"{listed} {self.scenes.place(scene, rng)}" if scene else listed

    def arrange(self, plan: Plan, index: int, seed: int) -> Plan:
        """The plan of a candidate with the thing that it is about in its size."""
        cell = self._cell(index)
        place = first_named(plan.layout, cell.name)
        if place is None or not cell.size:
            return plan
        return resized(plan, place, cell.size, Random(f"{seed} size {index}"))

    def _cell(self, index: int) -> Cell:
        cells = self.cells
        return cells[index // self.batch % len(cells)]


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

    def counts(self, cell: Cell) -> Counts:
        """What was planned, painted and passed of a cell, at the last look."""
        if cell.size:
            return self.tally.by_cell.get((cell.name, cell.colour, cell.size)) or Counts()
        found = self.tally.by_pair.get(cell[:2]) if cell.colour else self.tally.by_class.get(cell.name)
        return found or Counts()

    def below(self) -> list[str]:
        """The cells that lack something, with what they have: "small red cup 3 of 10"."""
        self.tally.update()
        passed = {cell: self.counts(cell).passed for cell in self.cells}
        return [f"{cell} {count} of {self.number}" for cell, count in passed.items() if count < self.number]

    @property
    def done(self) -> int:
        """How many of what is wanted is there."""
        self.tally.update()
        return sum(min(self.counts(cell).passed, self.number) for cell in self.cells)
